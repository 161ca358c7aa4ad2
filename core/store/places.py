"""Which conversations stand in one place of a platform, as the threads of a channel do."""

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from core.store.schema import conversation, turn
from core.types import ThreadKey


def threads(conn: Connection, within: str, naming: Sequence[str]) -> tuple[ThreadKey, ...]:
    """The conversations whose keys begin with `within`, and the address of a prompt of which
    contains one of these texts. Reads the addresses of all whose keys begin so.
    """
    key = conversation.c.thread
    told = or_(*(turn.c.address.contains(text, autoescape=True) for text in naming))
    asked_there = select(turn.c.id).where(turn.c.conversation_id == conversation.c.id, told)
    found = select(key).where(key >= within, key < beyond(within), asked_there.exists())
    return tuple(map(ThreadKey, conn.execute(found).scalars()))


def beyond(begin: str) -> str:
    """Where those keys end that begin so: a range of the index, not a pattern."""
    return begin[:-1] + chr(ord(begin[-1]) + 1)
