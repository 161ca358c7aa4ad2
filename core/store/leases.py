"""Who holds a conversation: an owner, until a time, under a fence that grows with every claim.

The fence decides, not the time: a claim whose lease ran out may go on until another is made.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, exists, select, update

from core.errors import LostClaim, Withdrawn
from core.ports import Turn
from core.store.clock import Now
from core.store.edits import noticed
from core.store.schema import conversation, turn


def holds(claimed: Turn) -> ColumnElement[bool]:
    """The claim is the newest of its conversation, and was not given up."""
    return and_(
        conversation.c.thread == claimed.prompt.thread,
        conversation.c.fence == claimed.fence,
        conversation.c.owner.is_not(None),
    )


def lost(conn: Connection, claimed: Turn) -> LostClaim | Withdrawn:
    """The error for a claim that does not hold, with what stands in its place."""
    row = conn.execute(
        select(conversation.c.owner, conversation.c.fence, turn.c.state, turn.c.withdrawn)
        .join(turn)
        .where(turn.c.id == claimed.id)
    ).first()
    if row and row.withdrawn and not claimed.withdrawn and row.fence == claimed.fence:
        return Withdrawn(f"The prompt of turn {claimed.id} was deleted. Nothing was written.")
    stands = f"owner {row.owner}, fence {row.fence}, {row.state}" if row else "it is gone"
    return LostClaim(
        f"Turn {claimed.id}, claimed with fence {claimed.fence}, can't be written by this claim "
        f"(now: {stands}). Nothing was written; stop working on it."
    )


def renew(conn: Connection, claimed: Turn, lease: float, now: Now) -> None:
    """Hold the conversation for `lease` seconds from `now`. Raises LostClaim, Withdrawn."""
    statement = (
        update(conversation)
        .where(holds(claimed), exists().where(turn.c.id == claimed.id, noticed(claimed)))
        .values(lease_until=now + lease)
    )
    if conn.execute(statement).rowcount == 0:
        raise lost(conn, claimed)


def free(conn: Connection, claimed: Turn) -> None:
    """Give the conversation up. Raises LostClaim."""
    statement = update(conversation).where(holds(claimed)).values(owner=None, lease_until=None)
    if conn.execute(statement).rowcount == 0:
        raise lost(conn, claimed)


def take_over(conn: Connection, platforms: Sequence[str]) -> int:
    """Free every conversation of these platforms; returns how many were held.

    Only for who knows that whoever held them is no more.
    """
    return conn.execute(
        update(conversation)
        .where(conversation.c.owner.is_not(None), conversation.c.platform.in_(platforms))
        .values(owner=None, lease_until=None)
    ).rowcount
