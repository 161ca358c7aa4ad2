"""Seats: who of several processes does what only one may do."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing that is there is touched."""
    op.create_table(
        "seat",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("until", sa.Double),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.CheckConstraint("(owner IS NULL) = (until IS NULL)", name=op.f("ck_seat_lease")),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("pk_seat")),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("seat")
