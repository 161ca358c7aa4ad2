"""The tables, on SQLite and PostgreSQL alike.

Times are seconds since the epoch. An open turn has no `settled_at`: the partial indexes hold the
open turns alone, so finding work stays cheap however many turns are behind us.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

from core.lifecycle import OPEN

REVISION = "0011"
"""The alembic revision that these tables are. Older files are upgraded, newer ones refused."""

# What no database takes: PostgreSQL refuses NUL, no driver encodes a lone surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)


class Words(TypeDecorator[str]):
    """Text of any origin: what can't be stored is replaced, so no message is refused for it."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """On the way in, comparisons included; neither driver wants more done to a text."""
        return _storable


class WordList(TypeDecorator[Sequence[str]]):
    """A list of `Words`, as JSON."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """On the way in: a plain list."""
        return None if value is None else [storable(text) for text in value]


_ID = BigInteger().with_variant(Integer, "sqlite")
# The order of code points, whatever the locale of a PostgreSQL database is.
_SORTED = Words(collation="C").with_variant(Words(), "sqlite")
_OPEN_STATES = ", ".join(f"'{state}'" for state in sorted(OPEN))

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# owner: who answers here now, until lease_until; fence: grows with every claim.
# start, ratio, told, speaker, several: core.types.Memory. fresh: core.types.Conversation.
conversation = Table(
    "conversation",
    metadata,
    Column("id", _ID, Identity(), primary_key=True),
    Column("platform", Words, nullable=False),
    Column("thread", _SORTED, nullable=False),
    Column("owner", Words),
    Column("lease_until", Double),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("start", Integer, nullable=False, default=0),
    Column("ratio", Double, nullable=False, default=1.0),
    Column("told", Boolean, nullable=False, default=False),
    Column("speaker", Words, nullable=False, default=""),
    Column("several", Boolean, nullable=False, default=False),
    Column("fresh", Boolean, nullable=False, default=True),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("thread"),
    CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="lease"),
    sqlite_autoincrement=True,
)

# The prompt, then what became of it (core.types.Outcome; `answer` is its text).
# settle_at: when what was cut off before a delivered turn was shown can't land any more, by the
# clock that counts from settle_since (core.store.clock.Uptime).
# crashes: how often whoever worked on it stopped without giving it back.
# erased: it ended long ago, and its words are gone (core.store.retention).
turn = Table(
    "turn",
    metadata,
    Column("id", _ID, Identity(), primary_key=True),
    Column("conversation_id", ForeignKey(conversation.c.id, ondelete="CASCADE"), nullable=False),
    Column("identity", Words, nullable=False),
    Column("sequence", _SORTED, nullable=False),
    Column("author", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("address", Words, nullable=False),
    Column("files", WordList, nullable=False),
    Column("follow_up", Boolean, nullable=False),
    Column("late", Boolean, nullable=False, server_default=false()),
    Column("crowded", Boolean, nullable=False, server_default=false()),
    Column("asked_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("reason", Words, nullable=False, default=""),
    Column("verdict", Text),
    Column("answer", Words),
    Column("notice", Words),
    Column("candidates", WordList(none_as_null=True)),
    Column("reasoning", Words),
    Column("usage", JSON(none_as_null=True)),
    Column("finish_reason", Words),
    Column("model", Words),
    Column("response_id", Words),
    Column("trace_id", Words),
    Column("received_at", Double, nullable=False),
    Column("answered_at", Double),
    Column("settled_at", Double),
    Column("settle_at", Double),
    Column("settle_since", Text),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("erased", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("identity"),
    CheckConstraint(f"(settled_at IS NULL) = (state IN ({_OPEN_STATES}))", name="settled"),
    CheckConstraint("(answered_at IS NULL) = (verdict IS NULL)", name="answered"),
    CheckConstraint("state <> 'delivered' OR settle_at IS NOT NULL", name="delivered"),
    # An id is part of the key of a post: it is never given out again.
    sqlite_autoincrement=True,
)

_open = turn.c.settled_at.is_(None)
# settled_at, always NULL here, makes this index hold all that looking for open turns reads: so it
# costs less than ix_turn_in_order, and SQLite does not walk the settled turns of a conversation.
Index(
    "ix_turn_open_in_order",
    turn.c.conversation_id,
    turn.c.sequence,
    turn.c.id,
    turn.c.settled_at,
    sqlite_where=_open,
)
Index(
    "ix_turn_open_by_age",
    turn.c.received_at,
    turn.c.conversation_id,
    sqlite_where=_open,
)
# Over every turn: who talked to us lately, and where each of these conversations has come to.
Index("ix_turn_in_order", turn.c.conversation_id, turn.c.sequence, turn.c.id)
Index("ix_turn_by_age", turn.c.received_at, turn.c.conversation_id)

HAS_WORDS = and_(turn.c.settled_at.is_not(None), turn.c.erased.is_(False))
"""A turn that has ended, with the words that it ended with."""

Index("ix_turn_with_words", turn.c.settled_at, sqlite_where=HAS_WORDS)

# The platform messages of a reply. part_id NULL: about to be posted, or its id was lost; named: its
# key finds whatever may be of it, or there was no other try.
part = Table(
    "part",
    metadata,
    Column("turn_id", ForeignKey(turn.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("part_id", Words),
    Column("named", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)

# The history. Clustered by conversation, so that a window is one run of neighbours on the disk.
# turn_id NULL: read from the thread, said before the bot came.
message = Table(
    "message",
    metadata,
    Column("conversation_id", ForeignKey(conversation.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("role", Text, nullable=False),
    Column("author", Words, nullable=False),
    Column("content", Words, nullable=False),
    Column("identity", Words, nullable=False),
    Column("turn_id", ForeignKey(turn.c.id, ondelete="CASCADE")),
    UniqueConstraint("turn_id", "role"),
    sqlite_with_rowid=False,
)

_adopted = message.c.turn_id.is_(None)
# What was read from a thread is found by its message when that is edited or deleted.
Index(
    "ix_message_adopted",
    message.c.identity,
    sqlite_where=_adopted,
)

# Who of several processes does what only one may do (core.store.seats). owner: until `until`.
# scope, name: which seat. fence: grows with every taking.
seat = Table(
    "seat",
    metadata,
    Column("scope", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("owner", Words),
    Column("until", Double),
    Column("fence", BigInteger, nullable=False, default=0),
    CheckConstraint("(owner IS NULL) = (until IS NULL)", name="lease"),
)

# Rate budgets that all processes spend together: core.delivery.pacing.Level, by the server's clock.
# Only PostgreSQL's are used. No row: a full one.
budget = Table(
    "budget",
    metadata,
    Column("name", Words, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("rate", Double, nullable=False),
    Column("burst", Double, nullable=False),
    Column("blocked_until", Double, nullable=False),
    sqlite_with_rowid=False,
)


def filter_on_postgres() -> None:
    """Have the indexes hold the same rows on PostgreSQL as on SQLite, for what makes or compares
    tables: to say so imports its dialect, which costs 2 MiB.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_kwargs["postgresql_where"] = index.dialect_options["sqlite"]["where"]
