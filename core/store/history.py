"""The stored conversations: what is sent to the model again. Positions are contiguous, from 0 or
from where what was said long ago was erased (`core.store.retention`).

Plain functions over a connection, one transaction each.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Integer,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from core.delivery.characters import visible
from core.lifecycle import State
from core.ports import Turn
from core.store.inbox import waiting
from core.store.leases import HOLDS, NOTICED, by, lost
from core.store.schema import conversation, message, turn
from core.store.statements import Statement, one_statement
from core.types import Conversation, Memory, Remembered, Role, ThreadKey

_ROLES = {role.value: role for role in Role}
_HERE = conversation.c.thread == bindparam("of")
# The position after the last message of a conversation.
_END = (
    select(func.coalesce(func.max(message.c.position) + 1, 0))
    .where(message.c.conversation_id == conversation.c.id)
    .scalar_subquery()
    .label("end")
)
# Of each message of the window; one row without a message if there is none. Flags as numbers: they
# are the same in every row, and converting them in each would cost more than the rest.
_WINDOW = Statement(
    select(
        message.c.role,
        message.c.content,
        message.c.author,
        message.c.identity,
        message.c.position,
        conversation.c.start,
        conversation.c.ratio,
        type_coerce(conversation.c.told, Integer).label("told"),
        conversation.c.speaker,
        type_coerce(conversation.c.several, Integer).label("several"),
        type_coerce(conversation.c.fresh, Integer).label("fresh"),
    )
    .select_from(conversation)
    .outerjoin(
        message,
        and_(
            message.c.conversation_id == conversation.c.id,
            message.c.position >= conversation.c.start,
        ),
    )
    .where(_HERE)
    .order_by(message.c.position)
)
_MEMORY = {
    name: bindparam(f"its_{name}", type_=conversation.c[name].type)
    for name in ("start", "ratio", "told", "speaker", "several")
}
_HELD = select(conversation.c.id).where(HOLDS).scalar_subquery()
_KNOWN = Statement(
    select(message.c.identity)
    .where(message.c.conversation_id == _HELD)
    .union(
        select(turn.c.identity).where(
            turn.c.conversation_id == _HELD,
            turn.c.erased.is_(False),
            turn.c.state != State.ABANDONED,  # nothing of it will ever be remembered
        )
    )
)
_NOTICED = Statement(select(turn.c.id).where(turn.c.id == bindparam("claim_id"), NOTICED))
_REMEMBER = Statement(
    update(conversation)
    .where(HOLDS)
    .values(fresh=and_(conversation.c.fresh, ~bindparam("spoken", type_=Boolean())), **_MEMORY)
    .returning(conversation.c.id, _END)
)
_BEGIN = Statement(
    update(conversation)
    .where(conversation.c.id == bindparam("its_id"))
    .values(start=bindparam("its_end"))
)
_STORE = Statement(
    insert(message).values({column: bindparam(f"its_{column.name}") for column in message.c})
)
_LOCK = Statement(select(conversation.c.id).where(_HERE).with_for_update(key_share=True))
_HOW_FAR = Statement(select(conversation.c.ratio, _END).where(_HERE))
_RESTART = Statement(update(conversation).where(_HERE).values(fresh=false(), **_MEMORY))


@one_statement
def load(conn: Connection, thread: ThreadKey) -> Conversation:
    """The conversation from `memory.start` on; an empty, fresh one when there is none."""
    rows = _WINDOW.plain(conn, {"of": thread})
    if not rows:
        return Conversation(thread)
    first, _, _, _, position, start, ratio, told, speaker, several, fresh = rows[0]
    return Conversation(
        thread=thread,
        messages=tuple(
            [Remembered(_ROLES[row[0]], row[1], row[2], row[3]) for row in rows]
            if first is not None
            else ()
        ),
        memory=Memory(
            start=start if position is None else position,
            ratio=ratio,
            told=bool(told),
            speaker=speaker,
            several=bool(several),
        ),
        fresh=bool(fresh),
    )


def adopt(conn: Connection, claimed: Turn, earlier: Sequence[Remembered], memory: Memory) -> None:
    """Store what was said before the bot came; what is stored, or is a prompt, is left out.

    Raises LostClaim; Withdrawn, as the deleted prompt's thread may be deleted with all it said.
    """
    known = {row.identity for row in _KNOWN.rows(conn, by(claimed))}
    new = []
    for entry in earlier:
        if not entry.identity or entry.identity not in known:
            new.append(entry)
            known.add(entry.identity)
    append(conn, claimed, new, memory, None)
    # Behind it, as that waits for whoever deletes: before, PostgreSQL would look at what was then.
    if _NOTICED.first(conn, by(claimed)) is None:
        raise lost(conn, claimed)


def append(
    conn: Connection,
    claimed: Turn,
    entries: Sequence[Remembered],
    memory: Memory,
    turn_id: int | None,
) -> None:
    """Add entries at the end and set the memory. turn_id: whose they are, None for adopted ones.

    Raises LostClaim.
    """
    spoken = bool(entries) or turn_id is not None
    parameters = by(claimed) | _columns_of(memory) | {"spoken": spoken}
    row = _REMEMBER.first(conn, parameters)
    if row is None:
        raise lost(conn, claimed)
    if row.end < memory.start:  # what was before it has been erased since the memory was read
        _BEGIN.count(conn, {"its_id": row.id, "its_end": row.end})
    if entries:
        _STORE.each(
            conn,
            [
                {
                    "its_conversation_id": row.id,
                    "its_position": position,
                    "its_role": entry.role,
                    "its_author": entry.author,
                    "its_content": entry.content,
                    "its_identity": entry.identity,
                    "its_turn_id": turn_id,
                }
                for position, entry in enumerate(entries, row.end)
            ],
        )


def say_instead(conn: Connection, turn_id: int, text: str) -> None:
    """Another answer of a turn that is the last of its conversation; an unseen one removes it."""
    answer = message.c.turn_id == turn_id, message.c.role == Role.ASSISTANT
    if visible(text):
        conn.execute(update(message).where(*answer).values(content=text))
    else:
        conn.execute(delete(message).where(*answer))


def restart(conn: Connection, thread: ThreadKey) -> bool | None:
    """Send nothing said so far to the model again; what is stored stays, and so does the ratio.

    None: there is no such conversation. False: a turn of it is open, so nothing was changed:
    its answer will be stored with the memory that it was asked with.
    """
    # Locked first, so that no turn is claimed between the look and the change, and by itself: the
    # end is looked for by a statement that began with the lock, and so sees all before it.
    if _LOCK.first(conn, {"of": thread}) is None:
        return None
    if waiting(conn, thread):
        return False
    (row,) = _HOW_FAR.rows(conn, {"of": thread})
    # told: whoever starts afresh knows that the beginning is left out.
    memory = Memory(start=row.end, ratio=row.ratio, told=True)
    _RESTART.count(conn, _columns_of(memory) | {"of": thread})
    return True


def _columns_of(memory: Memory) -> dict[str, Any]:
    """The parameters of `_MEMORY`."""
    return {
        "its_start": memory.start,
        "its_ratio": memory.ratio,
        "its_told": memory.told,
        "its_speaker": memory.speaker,
        "its_several": memory.several,
    }
