"""What was said long ago leaves the store: the words of turns that have ended, and who said them.

Of a turn stays what makes it one for ever (the identity of its message, and the ids of ours), when
it was and how it ended. So nothing is answered twice, however late its event or an edit of it
comes, and a thread that was ours stays ours. Plain functions over a connection.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Double,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from core.store.clock import Now, by_server, given, time_in
from core.store.schema import HAS_WORDS, conversation, message, part, turn
from core.store.statements import ERASED, Statement

_MOST = 100  # turns of one transaction

BLANK: dict[str, Any] = {
    "author": "",
    "text": "",
    "address": "",
    "files": [],
    "reason": "",
    "answer": "",
    "notice": "",
    "candidates": [],
    "reasoning": "",
    "response_id": "",
    "trace_id": "",
    "erased": True,
}
"""What a turn says when its words are erased; the rest of it stays."""

_HERE = conversation.c.id == bindparam("here")
_LOCK = Statement(select(conversation.c.id).where(_HERE).with_for_update(key_share=True))
_FOUND = Statement(
    select(*(column for column in turn.c if column.name not in BLANK)).where(
        turn.c.id == bindparam("of"), HAS_WORDS
    )
)
_PARTS = Statement(select(part).where(part.c.turn_id == bindparam("of")))
_DELETE = Statement(delete(turn).where(turn.c.id == bindparam("of")))
_INSERT = {
    table.name: Statement(
        insert(table).values({c: bindparam(f"its_{c.name}", type_=c.type) for c in table.c})
    )
    for table in (turn, part)
}
_ENTRIES = Statement(delete(message).where(message.c.turn_id == bindparam("of")))
_first = (
    select(func.min(message.c.position))
    .where(message.c.conversation_id == bindparam("here"), message.c.turn_id.is_not(None))
    .scalar_subquery()
)
# Each stands before what was said in turns: a short range, where all of a conversation may be long.
_ADOPTED = Statement(
    delete(message).where(
        message.c.conversation_id == bindparam("here"),
        or_(_first.is_(None), message.c.position < _first),
    )
)
_left = select(message.c.position).where(message.c.conversation_id == conversation.c.id).exists()
# Where several speak, the first is not told from the others any more: the name goes at once. Where
# nothing is left, what stands in the thread may be read again; not if somebody was told that its
# beginning is left out (after `/new`, say).
_CONVERSATION = Statement(
    update(conversation)
    .where(_HERE)
    .values(
        speaker=case((and_(_left, ~conversation.c.several), conversation.c.speaker), else_=""),
        several=and_(conversation.c.several, _left),
        fresh=or_(conversation.c.fresh, and_(~_left, ~conversation.c.told)),
    )
)


@dataclass(frozen=True, slots=True)
class Erased:
    """How much left the store: turns, and entries of histories."""

    turns: int = 0
    entries: int = 0

    def __bool__(self) -> bool:
        return self.turns > 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(self.turns + other.turns, self.entries + other.entries)


def erase(conn: Connection, age: float, within: float, now: Now) -> Erased:
    """Erase turns that ended at least `age` seconds ago, the oldest first, for `within` seconds.

    What was read from a thread goes with the first of its questions. When no turn is left to erase,
    SQLite's log is emptied, which has them still.
    """
    until = time.monotonic() + within
    found = _expired(by_server(now)).rows(conn, given(now) | {"age": age})
    erased = Erased()
    for row in found:
        erased += _erased(conn, row.id, row.conversation_id)
        if time.monotonic() >= until:
            break
    if not found:
        conn.info[ERASED] = True
    return erased


@cache
def _expired(server: bool) -> Statement:
    age: BindParameter[float] = bindparam("age", type_=Double())
    return Statement(
        select(turn.c.id, turn.c.conversation_id)
        .where(HAS_WORDS, turn.c.settled_at <= time_in(server) - age)
        .order_by(turn.c.settled_at)
        .limit(_MOST)
    )


def _erased(conn: Connection, turn_id: int, conversation_id: int) -> Erased:
    """Erase one turn, unless another process has; its conversation is locked first, as always.

    It is deleted and put back. SQLite keeps a page for a row that only gets smaller, and the file
    would grow as if nothing had gone.
    """
    which = {"of": turn_id, "here": conversation_id}
    _LOCK.rows(conn, which)
    found = _FOUND.first(conn, which)
    if found is None:
        return Erased()
    parts = _PARTS.rows(conn, which)
    entries = _ENTRIES.count(conn, which)
    _DELETE.count(conn, which)
    _INSERT["turn"].count(conn, _its(found._asdict() | BLANK))
    if parts:
        _INSERT["part"].each(conn, [_its(row._asdict()) for row in parts])
    entries += _ADOPTED.count(conn, which)
    _CONVERSATION.count(conn, which)
    return Erased(1, entries)


def _its(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the parameters that put it back."""
    return {f"its_{name}": value for name, value in row.items()}
