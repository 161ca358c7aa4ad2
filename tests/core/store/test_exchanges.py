"""What was asked and what became of it, as somebody sees it who looks again."""

from core.lifecycle import State
from core.ports import Exchange
from core.store.exchanges import newest_turns
from core.types import Memory, Outcome, ThreadKey, Verdict
from tests.core.store.making import (
    COMPLETE,
    FULL,
    SPOKEN,
    THREAD,
    Store,
    plan_of,
    prompt,
    settle_many,
)

FAILED = Outcome(verdict=Verdict.ERROR, notice="It failed.")


def shown(number: int, text: str = "", notice: str = "") -> Exchange:
    return Exchange(f"{THREAD}/{number}", f"question {number}", text, notice)


async def answer(store: Store, number: int, outcome: Outcome) -> None:
    await store.turns.accept(prompt(number))
    claimed = await store.claim()
    await store.turns.answer(claimed, outcome, (), Memory(start=9))
    await store.turns.finish(claimed, State.SETTLED)


async def test_of_a_conversation_that_nobody_knows_there_is_nothing(store: Store) -> None:
    await store.turns.accept(prompt(1, "slack:other"))
    assert await store.turns.exchanges(THREAD, 10) == ()


async def test_all_is_there_that_was_shown_also_what_the_model_is_not_told(store: Store) -> None:
    await answer(store, 2, FULL)
    await answer(store, 1, FAILED)
    await store.turns.accept(prompt(4))
    await store.turns.accept(prompt(3))
    assert (await store.history.load(THREAD)).messages == ()
    assert await store.turns.exchanges(THREAD, 10) == (
        shown(1, notice=FAILED.notice),
        shown(2, FULL.text, FULL.notice),
        shown(3),
        shown(4),
    ), "in the platform's order"


async def test_what_is_committed_counts_though_it_is_not_settled(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.say(await store.claim())
    assert await store.turns.exchanges(THREAD, 10) == (shown(1, COMPLETE.text),)


async def test_no_more_than_the_newest(store: Store) -> None:
    for number in range(4):
        await answer(store, number, FAILED)
    found = await store.turns.exchanges(THREAD, 2)
    assert found == (shown(2, notice=FAILED.notice), shown(3, notice=FAILED.notice))


async def test_deleted_words_are_not_shown_again(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.turns.answer(claimed, COMPLETE, SPOKEN, Memory())
    assert await store.turns.withdraw(claimed.prompt.identity)
    assert await store.turns.exchanges(THREAD, 10) == (Exchange(f"{THREAD}/1", "[deleted]"),)


async def test_a_conversation_is_found_by_index_among_ten_thousand_turns(store: Store) -> None:
    await store.database.write(settle_many, 10_000)
    plan = await store.database.read(plan_of, newest_turns(ThreadKey("old 7"), 10))
    assert any("turn USING INDEX ix_turn_in_order (conversation_id=?)" in step for step in plan)
    assert not any(step.startswith(("SCAN", "USE TEMP")) for step in plan)
