"""By which clock a turn settles."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; turns that are settling wait from the beginning, since theirs is unknown."""
    op.add_column("turn", sa.Column("settle_since", sa.Text))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("turn", "settle_since")
