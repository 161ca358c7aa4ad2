"""The stored conversations: what is sent to the model again. Positions are contiguous from 0.

Plain functions over a connection, one transaction each.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    and_,
    bindparam,
    false,
    func,
    insert,
    select,
    update,
)

from core.ports import Turn
from core.store.inbox import waiting
from core.store.leases import HOLDS, by, lost
from core.store.schema import conversation, message, turn
from core.types import Conversation, Memory, Remembered, Role, ThreadKey

_HERE = conversation.c.thread == bindparam("of")
# The position after the last message of a conversation.
_END = (
    select(func.coalesce(func.max(message.c.position) + 1, 0))
    .where(message.c.conversation_id == conversation.c.id)
    .scalar_subquery()
    .label("end")
)
_CONVERSATION = select(conversation).where(_HERE)
_WINDOW = (
    select(message.c.role, message.c.content, message.c.author, message.c.identity)
    .where(message.c.conversation_id == bindparam("of"), message.c.position >= bindparam("start"))
    .order_by(message.c.position)
)
_HELD = select(conversation.c.id).where(HOLDS).scalar_subquery()
_KNOWN = (
    select(message.c.identity)
    .where(message.c.conversation_id == _HELD)
    .union(select(turn.c.identity).where(turn.c.conversation_id == _HELD))
)
# The memory is set by the names of its columns.
_REMEMBER = (
    update(conversation)
    .where(HOLDS)
    .values(fresh=and_(conversation.c.fresh, ~bindparam("spoken", type_=Boolean())))
    .returning(conversation.c.id, _END)
)
_STORE = insert(message)
_LOCK = select(conversation.c.id).where(_HERE).with_for_update(key_share=True)
_HOW_FAR = select(conversation.c.ratio, _END).where(_HERE)
_RESTART = update(conversation).where(_HERE).values(fresh=false())


def load(conn: Connection, thread: ThreadKey) -> Conversation:
    """The conversation from `memory.start` on; an empty, fresh one when there is none."""
    row = conn.execute(_CONVERSATION, {"of": thread}).first()
    if row is None:
        return Conversation(thread)
    entries = conn.execute(_WINDOW, {"of": row.id, "start": row.start})
    return Conversation(
        thread=thread,
        messages=tuple(
            Remembered(Role(role), content, author, identity)
            for role, content, author, identity in entries
        ),
        memory=Memory(
            start=row.start,
            ratio=row.ratio,
            told=row.told,
            speaker=row.speaker,
            several=row.several,
        ),
        fresh=row.fresh,
    )


def adopt(conn: Connection, claimed: Turn, earlier: Sequence[Remembered], memory: Memory) -> None:
    """Store what was said before the bot came; what is stored, or is a prompt, is left out.

    Raises LostClaim.
    """
    known = set(conn.execute(_KNOWN, by(claimed)).scalars())
    new = []
    for entry in earlier:
        if not entry.identity or entry.identity not in known:
            new.append(entry)
            known.add(entry.identity)
    append(conn, claimed, new, memory, None)


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
    row = conn.execute(_REMEMBER, parameters).first()
    if row is None:
        raise lost(conn, claimed)
    if entries:
        conn.execute(
            _STORE,
            [
                {
                    "conversation_id": row.id,
                    "position": position,
                    "role": entry.role,
                    "author": entry.author,
                    "content": entry.content,
                    "identity": entry.identity,
                    "turn_id": turn_id,
                }
                for position, entry in enumerate(entries, row.end)
            ],
        )


def restart(conn: Connection, thread: ThreadKey) -> bool | None:
    """Send nothing said so far to the model again; what is stored stays, and so does the ratio.

    None: there is no such conversation. False: a turn of it is open, so nothing was changed:
    its answer will be stored with the memory that it was asked with.
    """
    # Locked first, so that no turn is claimed between the look and the change, and by itself: the
    # end is looked for by a statement that began with the lock, and so sees all before it.
    if conn.execute(_LOCK, {"of": thread}).first() is None:
        return None
    if waiting(conn, thread):
        return False
    row = conn.execute(_HOW_FAR, {"of": thread}).one()
    # told: whoever starts afresh knows that the beginning is left out.
    memory = Memory(start=row.end, ratio=row.ratio, told=True)
    conn.execute(_RESTART, _columns_of(memory) | {"of": thread})
    return True


def _columns_of(memory: Memory) -> dict[str, Any]:
    """Column name -> value."""
    return {
        "start": memory.start,
        "ratio": memory.ratio,
        "told": memory.told,
        "speaker": memory.speaker,
        "several": memory.several,
    }
