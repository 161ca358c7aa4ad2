"""The stored conversations: what is sent to the model again. Positions are contiguous from 0.

Plain functions over a connection, one transaction each.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Label, delete, false, func, insert, select, update

from core.ports import Turn
from core.store.inbox import waiting
from core.store.leases import holds, lost
from core.store.schema import conversation, message, turn
from core.types import Conversation, Memory, Remembered, Role, ThreadKey


def load(conn: Connection, thread: ThreadKey) -> Conversation:
    """The conversation from `memory.start` on; an empty, fresh one when there is none."""
    row = conn.execute(select(conversation).where(conversation.c.thread == thread)).first()
    if row is None:
        return Conversation(thread)
    entries = conn.execute(
        select(message.c.role, message.c.content, message.c.author, message.c.identity)
        .where(message.c.conversation_id == row.id, message.c.position >= row.start)
        .order_by(message.c.position)
    )
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
    here = select(conversation.c.id).where(holds(claimed)).scalar_subquery()
    known = set(
        conn.execute(
            select(message.c.identity)
            .where(message.c.conversation_id == here)
            .union(select(turn.c.identity).where(turn.c.conversation_id == here))
        ).scalars()
    )
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
    row = conn.execute(
        update(conversation)
        .where(holds(claimed))
        .values(**asdict(memory), fresh=false() if spoken else conversation.c.fresh)
        .returning(conversation.c.id, _end())
    ).first()
    if row is None:
        raise lost(conn, claimed)
    if entries:
        conn.execute(
            insert(message),
            [
                asdict(entry)
                | {"conversation_id": row.id, "position": position, "turn_id": turn_id}
                for position, entry in enumerate(entries, row.end)
            ],
        )


def forget_answer(conn: Connection, turn_id: int) -> None:
    """Remove the answer of a turn that is the last of its conversation."""
    conn.execute(
        delete(message).where(message.c.turn_id == turn_id, message.c.role == Role.ASSISTANT)
    )


def restart(conn: Connection, thread: ThreadKey) -> bool | None:
    """Send nothing said so far to the model again; what is stored stays, and so does the ratio.

    None: there is no such conversation. False: a turn of it is open, so nothing was changed:
    its answer will be stored with the memory that it was asked with.
    """
    here = conversation.c.thread == thread
    # Locked first, so that no turn is claimed between the look and the change, and by itself: the
    # end is looked for by a statement that began with the lock, and so sees all before it.
    lock = select(conversation.c.id).where(here).with_for_update(key_share=True)
    if conn.execute(lock).first() is None:
        return None
    if waiting(conn, thread):
        return False
    row = conn.execute(select(conversation.c.ratio, _end()).where(here)).one()
    # told: whoever starts afresh knows that the beginning is left out.
    memory = Memory(start=row.end, ratio=row.ratio, told=True)
    conn.execute(update(conversation).where(here).values(**asdict(memory), fresh=false()))
    return True


def _end() -> Label[int]:
    """The position after the last message of a conversation, as `end`."""
    return (
        select(func.coalesce(func.max(message.c.position) + 1, 0))
        .where(message.c.conversation_id == conversation.c.id)
        .scalar_subquery()
        .label("end")
    )
