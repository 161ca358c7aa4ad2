"""Who holds a claim writes; who lost it, or takes a step that is none, does not."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, select

from core.errors import LostClaim, Withdrawn
from core.lifecycle import State
from core.ports import Posted, Turn
from core.store.clock import LONGEST
from core.store.edits import MARK
from core.store.schema import conversation, turn
from core.store.sql import SqlTurns
from core.types import Kept, Memory, Outcome, PartId, Remembered, Role, Verdict
from tests.core.store.making import COMPLETE, HERE, LEASE, SPOKEN, THREAD, Store, prompt

Write = Callable[[Store, Turn], Awaitable[object]]

WRITES: dict[str, Write] = {
    "renew": lambda store, claim: store.turns.renew(claim, LEASE),
    "attempt": lambda store, claim: store.turns.attempt(claim),
    "announce": lambda store, claim: store.turns.announce(claim, 0),
    "posted": lambda store, claim: store.turns.posted(claim, 0, PartId("late")),
    "answer": lambda store, claim: store.say(claim),
    "deliver": lambda store, claim: store.turns.deliver(claim, 25.0),
    "settle": lambda store, claim: store.turns.finish(claim, State.SETTLED),
    "abandon": lambda store, claim: store.turns.finish(claim, State.ABANDONED, "gone"),
    "release": lambda store, claim: store.turns.release(claim),
    "adopt": lambda store, claim: store.history.adopt(claim, SPOKEN, Memory(start=9)),
}


def states(conn: Connection) -> list[State]:
    """The stored states, by arrival."""
    return [State(state) for state in conn.execute(select(turn.c.state)).scalars()]


def _ends(conn: Connection) -> dict[str, float]:
    """When the leases end, by platform."""
    rows = conn.execute(select(conversation.c.platform, conversation.c.lease_until))
    return {row.platform: row.lease_until for row in rows}


async def refused(store: Store, claimed: Turn) -> list[str]:
    """The names of the writes that the claim was refused."""
    names = []
    for name, write in WRITES.items():
        try:
            await write(store, claimed)
        except LostClaim:
            names.append(name)
    return names


@pytest.mark.parametrize("answered", [False, True], ids=["claimed", "answered"])
async def test_a_stale_claim_writes_nothing(store: Store, answered: bool) -> None:
    await store.turns.accept(prompt(1))
    stale = await store.claim("paused")
    if answered:
        await store.say(stale)
    store.clock.now += LEASE + 1
    fresh = await store.claim("next")
    before = await store.history.load(THREAD)
    assert await refused(store, stale) == list(WRITES)
    assert await store.history.load(THREAD) == before
    assert await store.free_turn() is None, "the new lease stands"
    store.clock.now += LEASE + 1
    after = await store.claim("last")
    assert (after.state, after.attempts, after.parts) == (fresh.state, 0, ())


@pytest.mark.parametrize("end", ["released", "taken over", "abandoned"])
async def test_a_claim_given_up_writes_nothing(store: Store, end: str) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    if end == "released":
        await store.turns.release(claimed)
    elif end == "taken over":
        await store.void()
    else:
        await store.turns.finish(claimed, State.ABANDONED)
    assert await refused(store, claimed) == list(WRITES)
    assert (await store.history.load(THREAD)).messages == ()


async def test_the_refusal_says_who_holds_it(store: Store) -> None:
    await store.turns.accept(prompt(1))
    stale = await store.claim("paused")
    store.clock.now += LEASE + 1
    await store.claim("next")
    with pytest.raises(LostClaim, match=r"claimed with fence 1.*owner next, fence 2, claimed"):
        await store.turns.renew(stale, LEASE)


async def test_a_lease_that_ran_out_unclaimed_still_writes(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    store.clock.now += 10 * LEASE
    await store.say(claimed)
    await store.turns.finish(claimed, State.SETTLED)
    assert await store.turns.waiting(THREAD) == 0


async def test_attempts_are_counted_across_claims(store: Store) -> None:
    await store.turns.accept(prompt(1))
    for expected in (1, 2, 3):
        claimed = await store.claim()
        assert claimed.attempts == expected - 1
        assert await store.turns.attempt(claimed) == expected
        await store.turns.release(claimed)


async def test_parts_are_announced_then_known(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.turns.announce(claimed, 0)
    await store.turns.posted(claimed, 0, PartId("p0"))
    await store.turns.announce(claimed, 0)
    await store.turns.announce(claimed, 1)
    await store.turns.posted(claimed, 2, PartId("p2"))
    await store.say(claimed)
    await store.turns.announce(claimed, 3)
    await store.turns.release(claimed)
    assert (await store.claim()).parts == (
        Posted(0, PartId("p0")),
        Posted(1, None),
        Posted(2, PartId("p2")),
        Posted(3, None),
    )


async def test_a_released_turn_is_received_again_and_an_answered_one_stays(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    assert await store.database.read(states) == [State.CLAIMED]
    await store.turns.release(claimed)
    assert await store.database.read(states) == [State.RECEIVED]
    await store.turns.accept(prompt(0))
    earlier = await store.claim()
    assert earlier.prompt == prompt(0), "a released turn queues by the platform's order again"
    await store.say(earlier)
    await store.turns.release(earlier)
    assert (await store.claim()).state is State.ANSWERED


async def test_an_answer_said_twice_stands_once(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.say(claimed)
    other = Outcome(verdict=Verdict.TRUNCATED, text="other")
    await store.turns.answer(claimed, other, SPOKEN, Memory(start=5))
    kept = await store.history.load(THREAD)
    assert (kept.messages, kept.memory) == (SPOKEN, Memory())
    await store.turns.release(claimed)
    assert (await store.claim()).outcome == COMPLETE


async def test_an_answer_is_stored_whole_or_not_at_all(store: Store) -> None:
    """Two assistant entries for one turn are refused, and the outcome with them."""
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    twice = Remembered(Role.ASSISTANT, "again")
    with pytest.raises(Exception, match="refused a statement"):
        await store.say(claimed, *SPOKEN, twice)
    assert (await store.history.load(THREAD)).fresh
    await store.turns.release(claimed)
    assert (await store.claim()).outcome is None


@pytest.mark.parametrize("state", [State.SETTLED, State.ABANDONED, State.CANCELLED])
async def test_finishing_frees_the_conversation_for_the_next(store: Store, state: State) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2))
    claimed = await store.claim()
    await store.say(claimed)
    assert await store.turns.waiting(THREAD) == 2
    await store.turns.finish(claimed, state, "because")
    assert await store.turns.waiting(THREAD) == 1
    assert (await store.claim()).prompt == prompt(2)


@pytest.mark.parametrize("state", [State.ABANDONED, State.CANCELLED])
async def test_a_turn_that_ends_without_an_outcome_leaves_its_question(
    store: Store, state: State
) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.turns.announce(claimed, 0)
    await store.turns.amend(prompt(1).identity, "or rather this?")
    asked = Remembered(Role.USER, f"Ann: {prompt(1).text}", "Ann")
    memory = Memory(speaker="Ann", several=True)
    await store.turns.finish(claimed, state, "because", Kept([asked], memory))
    kept = await store.history.load(THREAD)
    assert [entry.content for entry in kept.messages] == ["Ann: or rather this?"]
    assert (kept.memory, kept.fresh) == (memory, False)
    await store.turns.withdraw(prompt(1).identity)
    assert [e.content for e in (await store.history.load(THREAD)).messages] == [MARK]


async def test_a_turn_with_an_outcome_leaves_what_was_stored_with_it(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.say(claimed)
    await store.turns.finish(claimed, State.CANCELLED, "because", Kept(SPOKEN[:1], Memory(start=3)))
    kept = await store.history.load(THREAD)
    assert (kept.messages, kept.memory) == (SPOKEN, Memory())


async def test_a_deleted_question_is_not_left_by_the_end_of_its_turn(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.turns.withdraw(prompt(1).identity)
    with pytest.raises(Withdrawn):
        await store.turns.finish(claimed, State.CANCELLED, "because", Kept(SPOKEN[:1], Memory()))
    assert not (await store.history.load(THREAD)).messages


async def test_a_turn_without_an_answer_is_not_settled(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    with pytest.raises(LostClaim):
        await store.turns.finish(claimed, State.SETTLED)
    assert await store.turns.waiting(THREAD) == 1


async def test_no_attempt_after_the_answer(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.say(claimed)
    with pytest.raises(LostClaim):
        await store.turns.attempt(claimed)


@pytest.mark.parametrize("state", [State.RECEIVED, State.CLAIMED, State.ANSWERED, State.DELIVERED])
async def test_only_an_end_finishes(store: Store, state: State) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    with pytest.raises(ValueError, match="no end"):
        await store.turns.finish(claimed, state)


HOUR = 3_600.0


async def test_a_clock_set_back_leaves_the_dead_the_longest_lease_more(store: Store) -> None:
    await store.turns.accept(prompt(1))
    dead = await store.claim("dead")
    store.clock.now -= HOUR
    assert await store.free_turn() is None, "its holder may be alive"
    store.clock.now += LONGEST + 1
    assert (await store.claim("next")).fence == dead.fence + 1


async def test_a_clock_set_back_takes_nothing_from_who_holds_for_longer_than_others(
    store: Store,
) -> None:
    await store.turns.accept(prompt(1))
    alive = await store.turns.claim("alive", HERE, LONGEST)
    assert alive is not None
    store.clock.now -= HOUR
    assert await store.turns.claim("other", HERE, 5.0) is None
    store.clock.now += 0.9 * LONGEST  # for so long it writes without asking
    assert await store.turns.claim("other", HERE, 5.0) is None
    await store.say(alive)


async def test_whose_clock_is_behind_touches_only_its_own_platforms(store: Store) -> None:
    """A terminal that is opened when the wall clock was set back beside a service, whose clock
    goes on as if it had not been."""
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(1, "console:x", platform="console:x"))
    await store.claim("service")
    await store.claim("terminal", ("console:x",))
    now = store.clock.now
    terminal = SqlTurns(store.database, lambda: now - HOUR, store.clock.uptime)
    assert await terminal.claim("terminal", ("console:x",), 10.0) is None
    assert await store.free_turn() is None
    ends = await store.database.read(_ends)
    assert ends == {"slack": now + LEASE, "console:x": now - HOUR + LONGEST}


async def test_a_clock_set_back_takes_nothing_from_who_is_alive(store: Store) -> None:
    await store.turns.accept(prompt(1))
    alive = await store.claim("alive")
    store.clock.now -= HOUR
    for _ in range(3):
        assert await store.free_turn() is None
        store.clock.now += LEASE - 1
        await store.turns.renew(alive, LEASE)
    await store.say(alive)


async def test_the_longest_lease_is_not_shortened(store: Store) -> None:
    await store.turns.accept(prompt(1))
    assert await store.turns.claim("alive", HERE, LONGEST) is not None
    assert await store.free_turn() is None
    store.clock.now += LONGEST
    assert await store.free_turn() is None
