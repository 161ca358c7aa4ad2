"""How often the work on a turn broke off: counted by the claim that finds it so."""

import pytest
from sqlalchemy import Connection, select

from core.errors import LostClaim, Withdrawn
from core.lifecycle import State
from core.ports import Turn
from core.store.schema import turn
from core.types import Outcome, Verdict
from tests.core.store.making import COMPLETE, LEASE, SPOKEN, THREAD, Store, prompt

NOTICE = Outcome(verdict=Verdict.ERROR, notice="I stopped.")


def _stored(conn: Connection) -> tuple[str, int]:
    state, crashes = conn.execute(select(turn.c.state, turn.c.crashes)).one()
    return state, crashes


async def again(store: Store) -> Turn:
    """The next claim after the holder was gone for longer than its lease."""
    store.clock.now += LEASE + 1
    return await store.claim()


async def test_claims_that_broke_off_are_counted(store: Store) -> None:
    await store.turns.accept(prompt(1))
    assert (await store.claim()).crashes == 0
    assert (await again(store)).crashes == 1
    await store.void()
    held = await store.claim()
    assert held.crashes == 2, "also when the next process knows that nobody is left"
    await store.turns.release(held)
    assert (await store.claim()).crashes == 2, "given back: nothing broke off"
    assert (await again(store)).crashes == 3


async def test_an_answer_begins_a_count_of_its_own(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.claim()
    await store.say(await again(store))
    for count in (1, 2):
        held = await again(store)
        assert (held.state, held.crashes) == (State.ANSWERED, count)
    for _ in range(5):
        await store.turns.release(held)
        held = await store.claim()
        assert held.crashes == 2
    assert (await again(store)).crashes == 3


async def test_of_what_is_shown_nothing_is_counted(store: Store) -> None:
    await store.turns.accept(prompt(1))
    held = await store.claim()
    await store.say(held)
    await store.turns.deliver(held, 25.0)
    for _ in range(5):
        assert (await again(store)).crashes == 0


async def test_a_claim_that_an_edit_took_away_did_not_break_off(store: Store) -> None:
    await store.turns.accept(prompt(1))
    for number in range(4):
        await store.claim()
        assert (await store.turns.amend(prompt(1).identity, f"version {number}")).fence
    assert (await store.claim()).crashes == 0


async def test_a_notice_takes_the_place_of_an_answer(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2))
    await store.say(await store.claim())
    held = await again(store)
    await store.turns.park(held, NOTICE)
    kept = await store.history.load(THREAD)
    assert kept.messages == SPOKEN[:1], "nobody has seen the answer"
    later = await again(store)
    assert (later.outcome, later.crashes) == (NOTICE, 1), "its own count"
    await store.turns.finish(later, State.SETTLED)
    await store.say(await store.claim())
    assert (await store.history.load(THREAD)).messages == (*SPOKEN[:1], *SPOKEN)


async def test_what_was_seen_of_an_answer_takes_its_place(store: Store) -> None:
    await store.turns.accept(prompt(1))
    held = await store.claim()
    await store.say(held)
    stopped = Outcome(verdict=Verdict.STOPPED, text="as far", notice="Stopped.")
    await store.turns.park(held, stopped)
    question, answer = (await store.history.load(THREAD)).messages
    assert (question, answer.content) == (SPOKEN[0], "as far")
    assert (await again(store)).outcome == stopped


async def test_only_an_answer_that_is_held_is_replaced(store: Store) -> None:
    await store.turns.accept(prompt(1))
    stale = await store.claim()
    with pytest.raises(LostClaim):
        await store.turns.park(stale, NOTICE)
    await store.say(stale)
    held = await again(store)
    with pytest.raises(LostClaim):
        await store.turns.park(stale, NOTICE)
    await store.turns.withdraw(prompt(1).identity)
    with pytest.raises(Withdrawn):
        await store.turns.park(held, NOTICE)
    assert await store.database.read(_stored) == (State.ANSWERED, 1)
    assert COMPLETE.text not in str(await store.history.load(THREAD))
