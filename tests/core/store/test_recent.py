"""Which conversations were talked in lately, and how far each has come."""

from core.lifecycle import State
from core.ports import Recent
from core.store.recent import recent_turns
from core.types import ThreadKey
from tests.core.store.making import Store, plan_of, prompt, settle_many

START = 1_700_000_000.0


async def ask(store: Store, number: int, thread: str, at: float, **changes: object) -> None:
    """Take a prompt in, `at` seconds after the start."""
    store.clock.now = START + at
    assert await store.turns.accept(prompt(number, thread, **changes))


def seen(thread: str, number: int, first: int | None = None) -> Recent:
    """number: of the newest turn. first: of the oldest one, the same unless it says so."""
    oldest = number if first is None else first
    return Recent(ThreadKey(thread), f"{number:06}", f"{oldest:06}")


async def test_the_newest_conversation_is_first_with_its_newest_turn(store: Store) -> None:
    assert await store.turns.recent("slack", 0.0, 10) == ()
    await ask(store, 1, "a", 0)
    await ask(store, 1, "b", 1)
    await ask(store, 3, "a", 2)
    await ask(store, 2, "a", 3)  # delivered late: received last, but not the newest
    assert await store.turns.recent("slack", 0.0, 10) == (seen("a", 3, first=1), seen("b", 1))


async def test_the_newest_turn_may_be_older_than_the_look(store: Store) -> None:
    await ask(store, 7, "a", 0)
    await ask(store, 6, "a", 10)
    assert await store.turns.recent("slack", START + 5, 10) == (seen("a", 7, first=6),)


async def test_since_then_and_no_more_than_the_limit(store: Store) -> None:
    for number, thread in enumerate("abcd"):
        await ask(store, 1, thread, number)
    recent = await store.turns.recent("slack", START + 1, 10)
    assert recent == tuple(seen(thread, 1) for thread in "dcb"), "since is included"
    assert await store.turns.recent("slack", START, 2) == (seen("d", 1), seen("c", 1))
    assert await store.turns.recent("slack", START + 3.5, 10) == ()


async def test_of_one_platform_which_others_do_not_crowd_out(store: Store) -> None:
    await ask(store, 1, "mine", 0)
    for number, thread in enumerate("abc", 1):
        await ask(store, 1, thread, number, platform="web")
    assert await store.turns.recent("slack", 0.0, 2) == (seen("mine", 1),)


async def test_a_turn_counts_whatever_became_of_it(store: Store) -> None:
    await ask(store, 1, "a", 0)
    await store.turns.finish(await store.claim(), State.CANCELLED)
    assert await store.turns.recent("slack", 0.0, 10) == (seen("a", 1),)


async def test_the_recent_ones_are_found_by_index_among_ten_thousand(store: Store) -> None:
    await store.database.write(settle_many, 10_000)
    plan = await store.database.read(plan_of, recent_turns("slack", 9_950.0, 10))
    assert "SEARCH turn USING COVERING INDEX ix_turn_by_age (received_at>?)" in plan
    assert any("other USING COVERING INDEX ix_turn_in_order (conversation_id=?)" in s for s in plan)
    scans = [step for step in plan if step.startswith("SCAN")]
    assert scans == ["SCAN found", "SCAN lately"], "over the few that were found"
    recent = await store.turns.recent("slack", 9_950.0, 10)
    assert [one.thread for one in recent] == [f"old {n}" for n in range(999, 994, -1)]
