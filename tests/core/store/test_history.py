"""What a conversation remembers."""

from sqlalchemy import Connection, text

from core.lifecycle import State
from core.types import Conversation, Memory, Remembered, Role, ThreadKey
from tests.core.store.making import COMPLETE, SPOKEN, THREAD, Store, prompt


def user(number: int, identity: str = "") -> Remembered:
    return Remembered(Role.USER, f"earlier {number}", "Bob", identity)


async def answer(store: Store, number: int, *entries: Remembered, start: int = 0) -> None:
    await store.turns.accept(prompt(number))
    claimed = await store.claim()
    await store.turns.answer(claimed, COMPLETE, entries, Memory(start=start))
    await store.turns.finish(claimed, State.SETTLED)


async def test_an_unknown_conversation_is_empty_and_fresh(store: Store) -> None:
    assert await store.history.load(THREAD) == Conversation(THREAD)


async def test_a_conversation_stays_fresh_until_something_was_said(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.history.adopt(claimed, (), Memory(ratio=1.5))
    assert await store.history.load(THREAD) == Conversation(THREAD, memory=Memory(ratio=1.5))


async def test_an_answer_without_a_word_to_remember_ends_freshness(store: Store) -> None:
    await answer(store, 1)
    kept = await store.history.load(THREAD)
    assert (kept.messages, kept.fresh) == ((), False)


async def test_the_window_begins_at_the_start(store: Store) -> None:
    for number in range(4):
        spoken = (user(number), Remembered(Role.ASSISTANT, f"answer {number}"))
        await answer(store, number, *spoken, start=3)
    kept = await store.history.load(THREAD)
    assert [entry.content for entry in kept.messages] == [
        "answer 1",
        "earlier 2",
        "answer 2",
        "earlier 3",
        "answer 3",
    ]
    assert not kept.fresh


async def test_a_window_past_the_end_is_empty_and_not_fresh(store: Store) -> None:
    await answer(store, 1, *SPOKEN)
    await answer(store, 2, start=2)
    kept = await store.history.load(THREAD)
    assert (kept.messages, kept.fresh, kept.memory.start) == ((), False, 2)


async def test_the_memory_is_kept_whole(store: Store) -> None:
    await answer(store, 1, user(1))
    memory = Memory(start=1, ratio=1.23456789, told=True, speaker="Ann", several=True)
    await store.turns.accept(prompt(2))
    await store.turns.answer(await store.claim(), COMPLETE, SPOKEN, memory)
    assert (await store.history.load(THREAD)).memory == memory


async def test_one_conversation_does_not_see_another(store: Store) -> None:
    await answer(store, 1, user(1))
    await store.turns.accept(prompt(1, "other"))
    claimed = await store.claim()
    await store.history.adopt(claimed, [user(7, "i7")], Memory(start=0))
    assert [m.content for m in (await store.history.load(THREAD)).messages] == ["earlier 1"]
    other = await store.history.load(ThreadKey("other"))
    assert [m.content for m in other.messages] == ["earlier 7"]


async def test_what_was_said_before_is_adopted_once_and_before(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2))
    claimed = await store.claim()
    queued = Remembered(Role.USER, "the second prompt", "Ann", prompt(2).identity)
    earlier = [user(1, "i1"), user(2, "i2"), user(2, "i2"), queued, user(3)]
    for _ in range(2):
        await store.history.adopt(claimed, earlier[:-1], Memory(speaker="Bob"))
    await store.say(claimed)
    kept = await store.history.load(THREAD)
    assert kept.messages == (user(1, "i1"), user(2, "i2"), *SPOKEN)
    assert not kept.fresh


async def test_what_was_abandoned_is_adopted_like_what_others_said(store: Store) -> None:
    """Such as a question that was answered before this database was put back from a copy."""
    await store.turns.accept(prompt(1))
    await store.turns.finish(await store.claim(), State.ABANDONED)
    await store.turns.accept(prompt(2))
    claimed = await store.claim()
    asked = Remembered(Role.USER, "asked before", "Bob", prompt(1).identity)
    own = Remembered(Role.USER, "asked now", "Bob", prompt(2).identity)
    await store.history.adopt(claimed, [asked, own], Memory())
    assert (await store.history.load(THREAD)).messages == (asked,)


async def test_adopting_ends_freshness_and_sets_the_memory(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.history.adopt(await store.claim(), [user(1, "i1")], Memory(speaker="Bob"))
    assert await store.history.load(THREAD) == Conversation(
        THREAD, (user(1, "i1"),), Memory(speaker="Bob"), fresh=False
    )


async def test_a_restart_leaves_nothing_to_send_and_goes_on_behind_it(store: Store) -> None:
    memory = Memory(ratio=1.25, speaker="Ann", several=True)
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    await store.turns.answer(claimed, COMPLETE, SPOKEN, memory)
    await store.turns.finish(claimed, State.SETTLED)
    assert await store.history.restart(THREAD) is True
    afresh = Memory(start=2, ratio=1.25, told=True)
    assert await store.history.load(THREAD) == Conversation(THREAD, (), afresh, fresh=False)
    assert await store.history.restart(THREAD) is True, "once more is no harm"
    await store.turns.accept(prompt(2))
    claimed = await store.claim()
    await store.turns.answer(claimed, COMPLETE, (user(2),), afresh)
    assert (await store.history.load(THREAD)).messages == (user(2),)

    def positions(conn: Connection) -> list[int]:
        return list(conn.execute(text("SELECT position FROM message ORDER BY 1")).scalars())

    assert await store.database.read(positions) == [0, 1, 2], "what was said stays stored"


async def test_a_restart_before_a_word_was_said_keeps_the_thread_before_unread(
    store: Store,
) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.finish(await store.claim(), State.CANCELLED)
    assert (await store.history.load(THREAD)).fresh
    assert await store.history.restart(THREAD) is True
    afresh = Conversation(THREAD, memory=Memory(told=True), fresh=False)
    assert await store.history.load(THREAD) == afresh


async def test_no_restart_without_a_conversation_or_under_an_answer(store: Store) -> None:
    assert await store.history.restart(THREAD) is None
    await answer(store, 1, *SPOKEN)
    before = await store.history.load(THREAD)
    await store.turns.accept(prompt(2))
    assert await store.history.restart(THREAD) is False, "received"
    claimed = await store.claim()
    assert await store.history.restart(THREAD) is False, "claimed"
    assert await store.history.load(THREAD) == before
    await store.turns.answer(claimed, COMPLETE, (), before.memory)
    assert await store.history.restart(THREAD) is False, "answered"
    assert await store.history.load(THREAD) == before
    await store.turns.accept(prompt(1, "other"))
    await store.turns.finish(claimed, State.SETTLED)
    assert await store.history.restart(THREAD) is True, "another conversation's turn is no matter"


async def test_a_restart_is_of_one_conversation(store: Store) -> None:
    await answer(store, 1, *SPOKEN)
    before = await store.history.load(THREAD)
    await store.turns.accept(prompt(1, "other"))
    await store.turns.finish(await store.claim(), State.CANCELLED)
    assert await store.history.restart(ThreadKey("other")) is True
    assert await store.history.load(THREAD) == before


async def test_a_window_is_one_clustered_range(store: Store) -> None:
    def plan(conn: Connection) -> list[str]:
        query = (
            "EXPLAIN QUERY PLAN SELECT role, content FROM message "
            "WHERE conversation_id = 1 AND position >= 40 ORDER BY position"
        )
        return [row.detail for row in conn.execute(text(query))]

    assert await store.database.read(plan) == [
        "SEARCH message USING PRIMARY KEY (conversation_id=? AND position>?)"
    ]
