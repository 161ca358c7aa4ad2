"""Prompts that were one too many for their conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the flag in place: no turn is written again."""
    flag = sa.Column("crowded", sa.Boolean, server_default=sa.false(), nullable=False)
    op.add_column("turn", flag)


def downgrade() -> None:
    """Remove it."""
    op.drop_column("turn", "crowded")
