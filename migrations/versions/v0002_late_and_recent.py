"""Prompts that were found late, and indexes over every turn: by age, and in order."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_IN_ORDER = ("conversation_id", "sequence", "id")


def upgrade() -> None:
    """Add them in place: no turn is written again, so it takes no longer than the indexes do."""
    op.add_column("turn", sa.Column("late", sa.Boolean, server_default=sa.false(), nullable=False))
    op.create_index("ix_turn_in_order", "turn", _IN_ORDER)
    op.create_index("ix_turn_by_age", "turn", ["received_at", "conversation_id"])
    _open_in_order((*_IN_ORDER, "settled_at"))


def downgrade() -> None:
    """Remove them."""
    _open_in_order(_IN_ORDER)
    op.drop_index("ix_turn_by_age", "turn")
    op.drop_index("ix_turn_in_order", "turn")
    op.drop_column("turn", "late")


def _open_in_order(columns: Sequence[str]) -> None:
    """Make the index of the open turns again, of these columns."""
    still_open = sa.text("settled_at IS NULL")
    op.drop_index("ix_turn_open_in_order", "turn")
    op.create_index(
        "ix_turn_open_in_order",
        "turn",
        columns,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
