"""What was asked in a conversation and what became of it: for showing it anew.

More than what is sent to the model again (`core.store.history`), which leaves out what failed. What
was refused beside it (`core.types.ASIDE`) is a conversation of its own, and is left out here, as is
what was erased.
"""

from sqlalchemy import BindParameter, Connection, Integer, Select, bindparam, select

from core.ports import Exchange
from core.store.schema import conversation, turn
from core.store.statements import Statement, one_statement
from core.types import ThreadKey


@one_statement
def exchanges(conn: Connection, thread: ThreadKey, limit: int) -> tuple[Exchange, ...]:
    """The newest turns of the conversation, `limit` at most, in the platform's order."""
    rows = _EXCHANGES.rows(conn, {"of": thread, "limit": limit})
    return tuple(
        Exchange(row.identity, row.text, row.answer or "", row.notice or "")
        for row in reversed(rows)
    )


def newest_turns(
    thread: ThreadKey | BindParameter[ThreadKey], limit: int | BindParameter[int]
) -> Select[str, str, str | None, str | None]:
    """Its newest turns, the newest first; one read of an index."""
    return (
        select(turn.c.identity, turn.c.text, turn.c.answer, turn.c.notice)
        .join(conversation)
        .where(conversation.c.thread == thread, turn.c.erased.is_(False))
        .order_by(turn.c.sequence.desc(), turn.c.id.desc())
        .limit(limit)
    )


_EXCHANGES = Statement(newest_turns(bindparam("of"), bindparam("limit", type_=Integer())))
