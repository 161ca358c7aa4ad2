"""Which messages of ours nobody knows: what a lost post is told by, where it has no name."""

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select, true

from core.ports import Turn
from core.store.schema import conversation, part, turn
from core.types import ASIDE, PartId


def strangers(
    conn: Connection, mine: Turn, parts: Sequence[PartId], exclusive: bool
) -> list[PartId]:
    """Those of these messages that are no part of any turn. Reads every part there is.

    None, while another open turn that is answered in the same place misses one as well.
    exclusive: refusals beside the conversation don't count; and where a part was tried without a
    name, that try may still land, though another one has posted the part since.
    """
    place = mine.prompt.thread.partition(ASIDE)[0]
    here = conversation.c.thread
    missing = (
        select(turn.c.id)
        .join(part)
        .join(conversation)
        .where(turn.c.settled_at.is_(None), turn.c.id != mine.id, part.c.named.is_(False))
        .where(true() if exclusive else part.c.part_id.is_(None))
        .where(
            here == place
            if exclusive
            else or_(here == place, here.startswith(place + ASIDE, autoescape=True))
        )
        .limit(1)
    )
    if conn.execute(missing).first() is not None:
        return []
    known = set(conn.execute(select(part.c.part_id).where(part.c.part_id.in_(parts))).scalars())
    return [one for one in parts if one not in known]
