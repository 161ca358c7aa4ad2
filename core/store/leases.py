"""Who holds a conversation: an owner, until a time, under a fence that grows with every claim.

The fence decides, not the time: a claim whose lease ran out may go on until another is made.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    and_,
    bindparam,
    false,
    or_,
    select,
    update,
)

from core.errors import LostClaim, Withdrawn
from core.ports import Turn
from core.store.clock import LONGEST, Now, by_server, given, set_back, time_in
from core.store.schema import conversation, turn
from core.store.statements import Statement

HOLDS = and_(
    conversation.c.thread == bindparam("claim_thread"),
    conversation.c.fence == bindparam("claim_fence"),
    conversation.c.owner.is_not(None),
)
"""The claim of `by` is the newest of its conversation, and was not given up."""

HELD = (
    select(conversation.c.id)
    .where(HOLDS)
    .with_for_update(key_share=True)
    .correlate(None)
    .scalar_subquery()
)
"""Its conversation, which it locks. What the statement reads besides is as it stood before the lock
was ours, unless it changes or locks that, too."""

NOTICED = turn.c.withdrawn == bindparam("claim_withdrawn")
"""The holder of the claim of `by` knows whether its prompt was deleted."""

_FOUND_INSTEAD = Statement(
    select(conversation.c.owner, conversation.c.fence, turn.c.state, turn.c.withdrawn)
    .join(turn)
    .where(turn.c.id == bindparam("claim_id"))
)
_FREE = Statement(update(conversation).where(HOLDS).values(owner=None, lease_until=None))
_TAKE_OVER = (
    update(conversation)
    .where(
        conversation.c.owner.is_not(None),
        conversation.c.platform.in_(bindparam("platforms", expanding=True)),
    )
    .values(owner=None, lease_until=None)
)


def by(claimed: Turn) -> dict[str, Any]:
    """The parameters that name a claim."""
    return {
        "claim_id": claimed.id,
        "claim_thread": claimed.prompt.thread,
        "claim_fence": claimed.fence,
        "claim_withdrawn": claimed.withdrawn,
    }


def lost(conn: Connection, claimed: Turn) -> LostClaim | Withdrawn:
    """The error for a claim that does not hold, with what stands in its place."""
    row = _FOUND_INSTEAD.first(conn, {"claim_id": claimed.id})
    if row and row.withdrawn and not claimed.withdrawn and row.fence == claimed.fence:
        return Withdrawn(f"The prompt of turn {claimed.id} was deleted. Nothing was written.")
    stands = f"owner {row.owner}, fence {row.fence}, {row.state}" if row else "it is gone"
    return LostClaim(
        f"Turn {claimed.id}, claimed with fence {claimed.fence}, can't be written by this claim "
        f"(now: {stands}). Nothing was written; stop working on it."
    )


def renew(conn: Connection, claimed: Turn, lease: float, now: Now) -> None:
    """Hold the conversation for `lease` seconds from `now`. Raises LostClaim, Withdrawn."""
    parameters = by(claimed) | given(now) | {"lease": lease}
    if _renewal(by_server(now)).count(conn, parameters) == 0:
        raise lost(conn, claimed)


def shorten(conn: Connection, platforms: Sequence[str], now: Now) -> None:
    """Let what was leased of these platforms before the clock was set back end as the longest
    lease would that begins `now`: what it was given, nobody knows, and less would be too little.
    """
    _shortening(tuple(platforms), by_server(now)).count(conn, given(now))


def on(platforms: Sequence[str]) -> ColumnElement[bool]:
    """The conversation is of one of these. Not IN, whose list would be written into the statement
    anew each time.
    """
    return or_(false(), *(conversation.c.platform == platform for platform in platforms))


def free(conn: Connection, claimed: Turn) -> None:
    """Give the conversation up. Raises LostClaim."""
    if _FREE.count(conn, by(claimed)) == 0:
        raise lost(conn, claimed)


def take_over(conn: Connection, platforms: Sequence[str]) -> int:
    """Free every conversation of these platforms; returns how many were held.

    Only for who knows that whoever held them is no more.
    """
    return conn.execute(_TAKE_OVER, {"platforms": list(platforms)}).rowcount


@cache
def _renewal(server: bool) -> Statement:
    noticed = (
        select(turn.c.conversation_id)
        .where(turn.c.id == bindparam("claim_id"), turn.c.conversation_id == HELD, NOTICED)
        .with_for_update(key_share=True)
        .scalar_subquery()
    )
    return Statement(
        update(conversation)
        .where(conversation.c.id == noticed)
        .values(lease_until=time_in(server) + bindparam("lease", type_=Double()))
    )


@lru_cache(maxsize=64)  # a process asks for its own platforms, always the same
def _shortening(platforms: tuple[str, ...], server: bool) -> Statement:
    """Of conversations with an open turn, which are few; who holds one's row renews it anyway."""
    now = time_in(server)
    late = (
        select(conversation.c.id)
        .join(turn)
        .where(
            turn.c.settled_at.is_(None), on(platforms), set_back(conversation.c.lease_until, now)
        )
        .with_for_update(of=conversation, key_share=True, skip_locked=True)
    )
    return Statement(
        update(conversation).where(conversation.c.id.in_(late)).values(lease_until=now + LONGEST)
    )
