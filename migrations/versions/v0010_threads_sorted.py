"""Conversations in the order of code points, so that those beside one are a range of the index."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Sort so on PostgreSQL, which makes the index again; SQLite always did."""
    _sort("C")


def downgrade() -> None:
    """Sort as the database does."""
    _sort("default")


def _sort(collation: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("conversation", "thread", type_=sa.Text(collation=collation))
