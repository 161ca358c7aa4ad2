"""Turns whose words were erased when they had grown old, and an index over those with words."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them in place: no turn is written again, so it takes no longer than the index does."""
    op.add_column(
        "turn", sa.Column("erased", sa.Boolean, server_default=sa.false(), nullable=False)
    )
    op.create_index(
        "ix_turn_with_words",
        "turn",
        ["settled_at"],
        sqlite_where=sa.text("settled_at IS NOT NULL AND erased IS 0"),
        postgresql_where=sa.text("settled_at IS NOT NULL AND erased IS false"),
    )


def downgrade() -> None:
    """Remove them; what was erased stays so."""
    op.drop_index("ix_turn_with_words", "turn")
    op.drop_column("turn", "erased")
