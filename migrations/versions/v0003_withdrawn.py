"""Prompts that were deleted, and an index to find what was adopted from a thread."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them in place: no turn is written again."""
    op.add_column(
        "turn", sa.Column("withdrawn", sa.Boolean, server_default=sa.false(), nullable=False)
    )
    adopted = sa.text("turn_id IS NULL")
    op.create_index(
        "ix_message_adopted",
        "message",
        ["identity"],
        sqlite_where=adopted,
        postgresql_where=adopted,
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_message_adopted", "message")
    op.drop_column("turn", "withdrawn")
