"""Conversations, turns, parts and messages."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _conversation()
    _turn()
    op.create_table(
        "part",
        sa.Column("turn_id", _ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("part_id", sa.Text),
        sa.PrimaryKeyConstraint("turn_id", "position", name="pk_part"),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turn.id"], name="fk_part_turn_id_turn", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message",
        sa.Column("conversation_id", _ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("turn_id", _ID),
        sa.PrimaryKeyConstraint("conversation_id", "position", name="pk_message"),
        sa.UniqueConstraint("turn_id", "role", name="uq_message_turn_id_role"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversation.id"],
            name="fk_message_conversation_id_conversation",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turn.id"], name="fk_message_turn_id_turn", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )


def _conversation() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("thread", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.Double),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("ratio", sa.Double, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("speaker", sa.Text, nullable=False),
        sa.Column("several", sa.Boolean, nullable=False),
        sa.Column("fresh", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
        sa.UniqueConstraint("thread", name="uq_conversation_thread"),
        sa.CheckConstraint(
            "(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_conversation_lease")
        ),
        sqlite_autoincrement=True,
    )


def _turn() -> None:
    op.create_table(
        "turn",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("conversation_id", _ID, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("sequence", _SORTED, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("follow_up", sa.Boolean, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("notice", sa.Text),
        sa.Column("candidates", sa.JSON),
        sa.Column("reasoning", sa.Text),
        sa.Column("usage", sa.JSON),
        sa.Column("finish_reason", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("response_id", sa.Text),
        sa.Column("trace_id", sa.Text),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("settled_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_turn"),
        sa.UniqueConstraint("identity", name="uq_turn_identity"),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (state IN ('answered', 'claimed', 'received'))",
            name=op.f("ck_turn_settled"),
        ),
        sa.CheckConstraint(
            "(answered_at IS NULL) = (verdict IS NULL)", name=op.f("ck_turn_answered")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversation.id"],
            name="fk_turn_conversation_id_conversation",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    still_open = sa.text("settled_at IS NULL")
    for name, columns in (
        ("ix_turn_open_in_order", ["conversation_id", "sequence", "id"]),
        ("ix_turn_open_by_age", ["received_at", "conversation_id"]),
    ):
        op.create_index(name, "turn", columns, sqlite_where=still_open, postgresql_where=still_open)


def downgrade() -> None:
    """Remove the tables and everything in them."""
    for table in ("message", "part", "turn", "conversation"):
        op.drop_table(table)
