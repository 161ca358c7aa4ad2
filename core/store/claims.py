"""What the holder of a claim may write, and nobody else.

Every function is one transaction. It compares the claim's fence, and the turn's state with
`core.lifecycle.STEPS`, in the statement that writes, and raises LostClaim when they differ;
Withdrawn when the prompt was deleted and the holder of the claim doesn't know that yet.
`now` is seconds since the epoch, by whatever clock the caller shares with the others.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, case, literal, select, update

from core.lifecycle import STEPS, State, may_step
from core.ports import Turn
from core.store import edits, history
from core.store.clock import Now
from core.store.leases import free, holds, lost
from core.store.outcomes import columns_of
from core.store.schema import conversation, part, turn
from core.store.upsert import insert
from core.types import Memory, Outcome, PartId, Remembered

_AT_WORK = (State.CLAIMED, State.ANSWERED, State.DELIVERED)


def attempt(conn: Connection, claimed: Turn) -> int:
    """Count one more API attempt; returns how many there are now."""
    statement = (
        update(turn)
        .where(_stands(claimed, [State.CLAIMED]), edits.noticed(claimed))
        .values(attempts=turn.c.attempts + 1)
        .returning(turn.c.attempts)
    )
    row = conn.execute(statement).first()
    if row is None:
        raise lost(conn, claimed)
    return int(row.attempts)


def announce(conn: Connection, claimed: Turn, index: int) -> None:
    """Say that the part `index` is about to be posted. An id that is known stays."""
    _put_part(conn, claimed, index, None)


def posted(conn: Connection, claimed: Turn, index: int, part_id: PartId) -> None:
    """Keep the id of the posted part `index`."""
    _put_part(conn, claimed, index, part_id)


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
    step = (
        update(turn)
        .where(_stands(claimed, _before(State.ANSWERED)), edits.noticed(claimed))
        .values(state=State.ANSWERED, answered_at=now, crashes=0, **columns_of(outcome))
    )
    if conn.execute(step).rowcount:
        entries = edits.current(conn, claimed, remember)
        history.append(conn, claimed, entries, memory, claimed.id)
        return
    stands = _stands(claimed, [State.ANSWERED, State.DELIVERED])
    again = select(turn.c.id).where(stands, edits.noticed(claimed))
    if conn.execute(again).first() is None:
        raise lost(conn, claimed)


def park(conn: Connection, claimed: Turn, outcome: Outcome) -> None:
    """Put a notice in the place of a committed answer that can't be shown.

    Nobody has seen the answer, so the model isn't reminded of it either.
    """
    instead = (
        update(turn)
        .where(_stands(claimed, [State.ANSWERED]), edits.noticed(claimed))
        .values(crashes=0, **columns_of(outcome))
    )
    if conn.execute(instead).rowcount == 0:
        raise lost(conn, claimed)
    history.forget_answer(conn, claimed.id)


def deliver(conn: Connection, claimed: Turn, seconds: float, now: Now) -> None:
    """Say that all is shown, and for how long something older may land: answered -> delivered."""
    step = (
        update(turn)
        .where(_stands(claimed, _before(State.DELIVERED)), edits.noticed(claimed))
        .values(state=State.DELIVERED, settle_at=now + seconds)
    )
    if conn.execute(step).rowcount == 0:
        raise lost(conn, claimed)


def finish(conn: Connection, claimed: Turn, state: State, reason: str, now: Now) -> None:
    """Step to settled, abandoned or cancelled, and free the conversation.

    Raises ValueError for a state that is not an end.
    """
    if STEPS[state]:
        raise ValueError(f"{state} is no end of a turn")
    step = (
        update(turn)
        .where(_stands(claimed, _before(state)), edits.noticed(claimed))
        .values(state=state, reason=reason, settled_at=now)
    )
    if conn.execute(step).rowcount == 0:
        raise lost(conn, claimed)
    free(conn, claimed)


def release(conn: Connection, claimed: Turn) -> None:
    """Give the turn back and free the conversation: claimed -> received; else it stays."""
    step = (
        update(turn).where(_stands(claimed, _before(State.RECEIVED))).values(state=State.RECEIVED)
    )
    if conn.execute(step).rowcount == 0:
        # The next claim finds it as one that broke off would have left it, and counts.
        uncounted = turn.c.crashes - 1
        stands = _stands(claimed, [State.ANSWERED])
        conn.execute(update(turn).where(stands).values(crashes=uncounted))
    free(conn, claimed)


def _before(state: State) -> list[State]:
    """The states from which the table allows a step to `state`."""
    return [before for before in State if may_step(before, state)]


def _stands(claimed: Turn, states: Iterable[State]) -> ColumnElement[bool]:
    """The turn is in one of the states and the claim holds; the conversation is locked by it."""
    held = (
        select(conversation.c.id)
        .where(holds(claimed))
        .with_for_update(key_share=True)
        .scalar_subquery()
    )
    return and_(turn.c.id == claimed.id, turn.c.state.in_(states), turn.c.conversation_id == held)


def _put_part(conn: Connection, claimed: Turn, index: int, part_id: PartId | None) -> None:
    """Insert the part, or give it its id."""
    source = select(turn.c.id, literal(index), literal(part_id, part.c.part_id.type)).where(
        _stands(claimed, _AT_WORK)
    )
    if part_id is None:  # what was posted is kept in any case, since it has to be found again
        source = source.where(edits.noticed(claimed))
    statement = insert(conn, part).from_select(["turn_id", "position", "part_id"], source)
    known = case(
        (statement.excluded.part_id.is_(None), part.c.part_id), else_=statement.excluded.part_id
    )
    statement = statement.on_conflict_do_update(
        index_elements=[part.c.turn_id, part.c.position], set_={"part_id": known}
    )
    if conn.execute(statement.returning(part.c.turn_id)).first() is None:
        raise lost(conn, claimed)
