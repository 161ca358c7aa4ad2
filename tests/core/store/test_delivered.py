"""The wait of a turn that is shown but not settled: stored once, and what is left of it told."""

import math
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select, update

from core.errors import LostClaim, Withdrawn
from core.lifecycle import State
from core.ports import Turn
from core.store.schema import turn
from core.types import PartId, Usage, Verdict
from tests.core.store.making import COMPLETE, LEASE, THREAD, Store, prompt


def _state(conn: Connection) -> State:
    return State(conn.execute(select(turn.c.state)).scalar_one())


async def delivered(store: Store, seconds: float = 25.0) -> Turn:
    """A turn whose answer is shown, held."""
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.say(claimed)
    await store.turns.posted(claimed, 0, PartId("p"))
    await store.turns.deliver(claimed, seconds)
    return claimed


async def test_the_next_claim_is_told_what_is_left(store: Store) -> None:
    held = await delivered(store)
    assert held.settles_in is None
    assert await store.turns.waiting(THREAD) == 1, "its conversation waits"
    await store.void()
    store.clock.now += 10.0
    again = await store.claim()
    assert (again.state, again.outcome) == (State.DELIVERED, COMPLETE)
    assert again.settles_in == pytest.approx(15.0, abs=0.01)
    store.clock.now += LEASE + 1
    last = await store.claim()
    assert last.settles_in == pytest.approx(15.0 - LEASE - 1, abs=0.01)
    await store.turns.finish(last, State.SETTLED)
    assert await store.turns.waiting(THREAD) == 0


async def test_what_another_version_stored_is_read_as_far_as_it_is_known(store: Store) -> None:
    await delivered(store)

    def later_version(conn: Connection) -> None:
        usage = {"prompt_tokens": 3, "audio_tokens": 4}
        conn.execute(update(turn).values(verdict="sung", usage=usage))

    await store.database.write(later_version)
    await store.void()
    found = (await store.claim()).outcome
    assert found == replace(COMPLETE, verdict=Verdict.ERROR, usage=Usage(prompt_tokens=3))


async def test_a_step_of_the_wall_clock_does_not_shorten_the_wait(store: Store) -> None:
    await delivered(store)
    await store.void()
    store.clock.now, store.clock.step = store.clock.now + 10.0, 3_600.0
    assert (await store.claim()).settles_in == pytest.approx(15.0, abs=0.01)


async def test_after_a_boot_of_the_machine_nobody_knows_what_is_left(store: Store) -> None:
    await delivered(store)
    await store.void()
    store.clock.now, store.clock.boot = 100.0, "the next boot"
    again = await store.claim()
    assert again.settles_in == math.inf
    await store.turns.deliver(again, 25.0)
    await store.void()
    store.clock.now += 10.0
    assert (await store.claim()).settles_in == pytest.approx(15.0, abs=0.01)


async def test_delivered_again_the_wait_begins_anew(store: Store) -> None:
    held = await delivered(store)
    store.clock.now += 10.0
    await store.turns.deliver(held, 25.0)
    await store.void()
    store.clock.now += 10.0
    assert (await store.claim()).settles_in == pytest.approx(15.0, abs=0.01)


async def test_given_back_it_stays_delivered_and_its_parts_are_still_written(store: Store) -> None:
    held = await delivered(store)
    await store.turns.release(held)
    assert await store.database.read(_state) is State.DELIVERED
    again = await store.claim()
    await store.turns.posted(again, 1, PartId("q"))
    await store.say(again)
    assert await store.database.read(_state) is State.DELIVERED, "an answer said twice changes none"
    await store.turns.renew(again, LEASE)
    await store.turns.finish(again, State.ABANDONED, "gone")
    assert await store.database.read(_state) is State.ABANDONED


async def test_only_an_answered_turn_is_delivered(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    with pytest.raises(LostClaim):
        await store.turns.deliver(claimed, 25.0)
    await store.say(claimed)
    await store.turns.finish(claimed, State.SETTLED)
    with pytest.raises(LostClaim):
        await store.turns.deliver(claimed, 25.0)
    assert await store.database.read(_state) is State.SETTLED


async def test_a_stale_claim_delivers_nothing(store: Store) -> None:
    await store.turns.accept(prompt(1))
    stale = await store.claim()
    await store.say(stale)
    await store.void()
    await store.claim("next")
    with pytest.raises(LostClaim):
        await store.turns.deliver(stale, 25.0)
    assert await store.database.read(_state) is State.ANSWERED


async def test_deleted_when_delivered_it_is_taken_back(store: Store) -> None:
    held = await delivered(store)
    assert await store.turns.withdraw(prompt(1).identity) is True
    for write in (store.turns.deliver(held, 25.0), store.turns.finish(held, State.SETTLED)):
        with pytest.raises(Withdrawn):
            await write
    await store.void()
    again = await store.claim()
    assert (again.withdrawn, again.state) == (True, State.DELIVERED)
    assert again.outcome is not None
    assert again.outcome.text == ""
    await store.turns.finish(again, State.CANCELLED)
    assert await store.turns.waiting(THREAD) == 0
