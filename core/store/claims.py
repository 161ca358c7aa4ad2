"""What the holder of a claim may write, and nobody else.

Every function is one transaction. It compares the claim's fence, and the turn's state with
`core.lifecycle.STEPS`, in the statement that writes, and raises LostClaim when they differ;
Withdrawn when the prompt was deleted and the holder of the claim doesn't know that yet.
`now` is seconds since the epoch, by whatever clock the caller shares with the others.
"""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    and_,
    bindparam,
    case,
    or_,
    select,
    update,
)

from core.lifecycle import OPEN, State, may_step
from core.ports import Turn
from core.store import edits, history
from core.store.clock import Now, Uptime, by_server, given, time_in
from core.store.leases import HELD, NOTICED, by, free, lost
from core.store.outcomes import OUTCOME, columns_of
from core.store.schema import part, turn
from core.store.statements import Statement
from core.store.upsert import insert
from core.types import Kept, Memory, Outcome, PartId, Remembered

_AT_WORK = (State.CLAIMED, State.ANSWERED, State.DELIVERED)


def _before(state: State) -> list[State]:
    """The states from which the table allows a step to `state`."""
    return [before for before in State if may_step(before, state)]


def _stands(*states: State) -> ColumnElement[bool]:
    """The turn is in one of the states and the claim holds; the conversation is locked by it."""
    return and_(
        turn.c.id == bindparam("claim_id"),
        # Not IN, whose list would be written into the statement anew each time.
        or_(*(turn.c.state == state for state in states)),
        turn.c.conversation_id == HELD,
    )


_ATTEMPT = Statement(
    update(turn)
    .where(_stands(State.CLAIMED), NOTICED)
    .values(attempts=turn.c.attempts + 1)
    .returning(turn.c.attempts)
)
_ANSWERED = Statement(select(turn.c.id).where(_stands(State.ANSWERED, State.DELIVERED), NOTICED))
_RELEASE = Statement(update(turn).where(_stands(State.CLAIMED)).values(state=State.RECEIVED))
# The next claim finds it as one that broke off would have left it, and counts.
_UNCOUNT = Statement(update(turn).where(_stands(State.ANSWERED)).values(crashes=turn.c.crashes - 1))
_PARK = Statement(update(turn).where(_stands(State.ANSWERED), NOTICED).values(crashes=0, **OUTCOME))


def attempt(conn: Connection, claimed: Turn) -> int:
    """Count one more API attempt; returns how many this text has had."""
    row = _ATTEMPT.first(conn, by(claimed))
    if row is None:
        raise lost(conn, claimed)
    return int(row.attempts)


def announce(conn: Connection, claimed: Turn, index: int, named: bool) -> None:
    """Say that the part `index` is about to be posted. An id that is known stays; of several tries
    all have to be named."""
    _put_part(conn, claimed, index, None, named=named)


def posted(conn: Connection, claimed: Turn, index: int, part_id: PartId, only: bool) -> None:
    """Keep the id of the posted part `index`; one that was tried only once has no other."""
    _put_part(conn, claimed, index, part_id, named=only)


def answer(
    conn: Connection,
    claimed: Turn,
    outcome: Outcome,
    remember: Sequence[Remembered],
    memory: Memory,
    now: Now,
) -> None:
    """Commit outcome, history entries and memory: claimed -> answered.

    Said again of a turn that is answered, it changes nothing: the first outcome stands.
    """
    parameters = by(claimed) | columns_of(outcome) | given(now)
    row = _answering(by_server(now)).first(conn, parameters)
    if row is not None:
        entries = edits.current(claimed, remember, row.text)
        history.append(conn, claimed, entries, memory, claimed.id)
    elif _ANSWERED.first(conn, by(claimed)) is None:
        raise lost(conn, claimed)


def park(conn: Connection, claimed: Turn, outcome: Outcome) -> None:
    """Put another outcome in the place of a committed one that won't be shown as it is.

    What nobody has seen of the answer, the model isn't reminded of either.
    """
    if _PARK.count(conn, by(claimed) | columns_of(outcome)) == 0:
        raise lost(conn, claimed)
    history.say_instead(conn, claimed.id, outcome.text)


def deliver(conn: Connection, claimed: Turn, seconds: float, uptime: Uptime) -> None:
    """Say that all is shown, and for how long something older may land: answered -> delivered."""
    parameters = by(claimed) | given(uptime.at) | {"seconds": seconds, "since": uptime.since}
    if _delivering(by_server(uptime.at)).count(conn, parameters) == 0:
        raise lost(conn, claimed)


def finish(
    conn: Connection,
    claimed: Turn,
    state: State,
    reason: str,
    now: Now,
    kept: Kept | None = None,
) -> None:
    """Step to settled, abandoned or cancelled, and free the conversation.

    kept: committed with it where there is no outcome. Raises ValueError for a state
    that is not an end.
    """
    if state in OPEN:
        raise ValueError(f"{state} is no end of a turn")
    parameters = by(claimed) | given(now) | {"its_reason": reason}
    row = _end(state, by_server(now)).first(conn, parameters)
    if row is None:
        raise lost(conn, claimed)
    if kept and row.verdict is None:
        entries = edits.current(claimed, kept.remember, row.text)
        history.append(conn, claimed, entries, kept.memory, claimed.id)
    free(conn, claimed)


def release(conn: Connection, claimed: Turn) -> None:
    """Give the turn back and free the conversation: claimed -> received; else it stays."""
    if _RELEASE.count(conn, by(claimed)) == 0:
        _UNCOUNT.count(conn, by(claimed))
    free(conn, claimed)


@cache
def _answering(server: bool) -> Statement:
    """Sets the outcome; its row has the text as the prompt reads now."""
    return Statement(
        update(turn)
        .where(_stands(*_before(State.ANSWERED)), NOTICED)
        .values(state=State.ANSWERED, answered_at=time_in(server), crashes=0, **OUTCOME)
        .returning(turn.c.text)
    )


@cache
def _delivering(server: bool) -> Statement:
    settles = time_in(server) + bindparam("seconds", type_=Double())
    return Statement(
        update(turn)
        .where(_stands(*_before(State.DELIVERED)), NOTICED)
        .values(state=State.DELIVERED, settle_at=settles, settle_since=bindparam("since"))
    )


@cache
def _end(state: State, server: bool) -> Statement:
    """Its row has the text as the prompt reads now, and no verdict where there is no outcome."""
    return Statement(
        update(turn)
        .where(_stands(*_before(state)), NOTICED)
        .values(state=state, reason=bindparam("its_reason"), settled_at=time_in(server))
        .returning(turn.c.text, turn.c.verdict)
    )


def _put_part(
    conn: Connection, claimed: Turn, index: int, part_id: PartId | None, *, named: bool
) -> None:
    """Insert the part, or give it its id."""
    parameters = by(claimed) | {"index": index, "put_id": part_id, "its_name": named}
    if _putting(part_id is not None).first(conn, parameters) is None:
        raise lost(conn, claimed)


@cache
def _putting(is_posted: bool) -> Statement:
    source = select(
        turn.c.id,
        bindparam("index", type_=part.c.position.type),
        bindparam("put_id", type_=part.c.part_id.type),
        bindparam("its_name", type_=part.c.named.type),
    ).where(_stands(*_AT_WORK))
    if not is_posted:  # what was posted is kept in any case, since it has to be found again
        source = source.where(NOTICED).with_for_update(key_share=True)
    statement = insert(part).from_select(["turn_id", "position", "part_id", "named"], source)
    both = or_ if is_posted else and_
    known = case(
        (statement.excluded.part_id.is_(None), part.c.part_id), else_=statement.excluded.part_id
    )
    return Statement(
        statement.on_conflict_do_update(
            index_elements=[part.c.turn_id, part.c.position],
            set_={"part_id": known, "named": both(part.c.named, statement.excluded.named)},
        ).returning(part.c.turn_id)
    )
