"""Turns that are shown but not settled yet, and how often the work on one broke off."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SETTLED = "(settled_at IS NULL) = (state IN ({open}))"


def upgrade() -> None:
    """Add the columns and let the new state be open; on SQLite the turns are written once more."""
    with op.batch_alter_table("turn", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("settle_at", sa.Double))
        batch.add_column(
            sa.Column("crashes", sa.Integer, server_default=sa.text("0"), nullable=False)
        )
        batch.drop_constraint(op.f("ck_turn_settled"), type_="check")
        batch.create_check_constraint(
            op.f("ck_turn_settled"),
            _SETTLED.format(open="'answered', 'claimed', 'delivered', 'received'"),
        )
        batch.create_check_constraint(
            op.f("ck_turn_delivered"), "state <> 'delivered' OR settle_at IS NOT NULL"
        )


def downgrade() -> None:
    """Remove them; what is shown waits from its beginning again."""
    op.execute("UPDATE turn SET state = 'answered' WHERE state = 'delivered'")
    with op.batch_alter_table("turn", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint(op.f("ck_turn_delivered"), type_="check")
        batch.drop_constraint(op.f("ck_turn_settled"), type_="check")
        batch.create_check_constraint(
            op.f("ck_turn_settled"), _SETTLED.format(open="'answered', 'claimed', 'received'")
        )
        batch.drop_column("crashes")
        batch.drop_column("settle_at")
