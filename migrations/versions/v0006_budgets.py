"""Rate budgets that all processes spend together."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an empty table: a budget that has no row is full."""
    op.create_table(
        "budget",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tokens", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("burst", sa.Double, nullable=False),
        sa.Column("blocked_until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_budget"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("budget")
