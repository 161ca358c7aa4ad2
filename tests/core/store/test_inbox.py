"""Prompts go in once and come out in order."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from core.lifecycle import State
from core.ports import Posted
from core.store import inbox
from core.types import Memory, PartId, ThreadKey
from tests.core.store.making import (
    FULL,
    LEASE,
    SPOKEN,
    THREAD,
    Opening,
    Store,
    plan_of,
    prompt,
    settle_many,
    traced,
)


async def test_a_prompt_comes_out_as_it_went_in(store: Store) -> None:
    asked = prompt(1, text="Ünïcode 🙂\nline", files=("a.pdf", "b.png"), late=True)
    assert await store.turns.accept(asked)
    claimed = await store.claim()
    assert claimed.prompt == asked
    assert (claimed.state, claimed.attempts, claimed.parts) == (State.CLAIMED, 0, ())
    assert claimed.outcome is None


async def test_what_no_database_stores_is_replaced(store: Store) -> None:
    assert await store.turns.accept(prompt(1, text="a\ud800b\x00c", files=("\udfff",)))
    claimed = await store.claim()
    assert claimed.prompt.text == "a\ufffdb\ufffdc"
    assert claimed.prompt.files == ("\ufffd",)


async def test_a_known_identity_is_refused_before_and_after_its_answer(store: Store) -> None:
    assert await store.turns.accept(prompt(1))
    assert not await store.turns.accept(prompt(1, text="delivered again"))
    claimed = await store.claim()
    await store.say(claimed)
    await store.turns.finish(claimed, State.SETTLED)
    assert not await store.turns.accept(prompt(1))
    assert await store.turns.waiting(THREAD) == 0


@pytest.mark.parametrize("follow_up_first", [True, False])
async def test_mention_and_message_event_of_one_message(
    store: Store, follow_up_first: bool
) -> None:
    forms = [prompt(1), prompt(1, follow_up=True)]
    if follow_up_first:
        forms.reverse()
    assert [await store.turns.accept(form) for form in forms].count(True) == 1
    assert await store.turns.waiting(THREAD) == 1


async def test_twenty_deliveries_at_once_are_one_turn(store: Store) -> None:
    accepted = await asyncio.gather(*(store.turns.accept(prompt(1)) for _ in range(20)))
    assert accepted.count(True) == 1
    assert await store.turns.waiting(THREAD) == 1


async def test_a_follow_up_needs_a_conversation(store: Store) -> None:
    assert not await store.turns.accept(prompt(1, follow_up=True))
    assert await store.free_turn() is None
    assert await store.turns.accept(prompt(2))
    assert await store.turns.accept(prompt(3, follow_up=True, late=True))
    assert not await store.turns.accept(prompt(3, follow_up=True))
    assert await store.turns.waiting(THREAD) == 2


async def test_what_was_said_before_the_first_question_follows_up_on_nothing(
    store: Store,
) -> None:
    assert await store.turns.accept(prompt(5))
    assert not await store.turns.accept(prompt(4, follow_up=True))
    assert await store.turns.accept(prompt(6, follow_up=True))
    assert await store.turns.accept(prompt(3)), "a question that came late"
    assert await store.turns.accept(prompt(4, follow_up=True)), "and what follows up on that"
    assert await store.turns.waiting(THREAD) == 4


async def test_the_platform_orders_a_conversation(store: Store) -> None:
    for number in (3, 1, 2):
        await store.turns.accept(prompt(number))
    order = []
    for _ in range(3):
        claimed = await store.claim()
        assert await store.free_turn() is None, "one turn of a conversation at a time"
        order.append(claimed.prompt.sequence)
        await store.say(claimed)
        await store.turns.finish(claimed, State.SETTLED)
    assert order == ["000001", "000002", "000003"]


async def test_the_code_points_order_a_conversation(store: Store) -> None:
    for sequence in ("b", "B", "10", "9"):
        await store.turns.accept(prompt(0, identity=sequence, sequence=sequence))
    order = []
    for _ in range(4):
        claimed = await store.claim()
        order.append(claimed.prompt.sequence)
        await store.turns.finish(claimed, State.ABANDONED)
    assert order == ["10", "9", "B", "b"]


async def test_conversations_do_not_wait_and_the_longest_waiting_is_first(store: Store) -> None:
    for thread in ("third", "first", "second"):
        store.clock.now += 1
        await store.turns.accept(prompt(1, thread))
    claimed = [(await store.claim()).prompt.thread for _ in range(3)]
    assert claimed == ["third", "first", "second"]
    assert await store.free_turn() is None


async def test_only_the_platforms_that_are_served(store: Store) -> None:
    await store.turns.accept(prompt(1, platform="console"))
    assert await store.free_turn() is None
    assert (await store.claim(platforms=("slack", "console"))).prompt.platform == "console"


async def test_claims_at_once_take_each_conversation_once(store: Store) -> None:
    for number in range(5):
        await store.turns.accept(prompt(1, f"thread {number}"))
    claims = await asyncio.gather(*(store.free_turn() for _ in range(12)))
    taken = [claimed.prompt.thread for claimed in claims if claimed]
    assert sorted(taken) == [ThreadKey(f"thread {number}") for number in range(5)]


async def test_a_lease_that_ran_out_is_taken_as_it_was_left(store: Store) -> None:
    await store.turns.accept(prompt(1))
    first = await store.claim("first")
    await store.turns.attempt(first)
    await store.turns.announce(first, 0)
    await store.turns.posted(first, 0, PartId("p0"))
    await store.turns.announce(first, 1)
    store.clock.now += LEASE
    assert await store.free_turn() is None, "the lease still lives in its last moment"
    store.clock.now += 0.001
    second = await store.claim("second")
    assert second == replace(
        first,
        attempts=1,
        fence=first.fence + 1,
        parts=(Posted(0, PartId("p0")), Posted(1, None)),
        crashes=1,
    )


async def test_renewing_holds_on(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    store.clock.now += LEASE
    await store.turns.renew(claimed, LEASE)
    store.clock.now += LEASE
    assert await store.free_turn() is None


async def test_an_answer_outlives_its_worker(store: Store) -> None:
    await store.turns.accept(prompt(1))
    first = await store.claim()
    await store.turns.answer(first, FULL, SPOKEN, Memory())
    store.clock.now += LEASE + 1
    second = await store.claim()
    assert (second.state, second.outcome) == (State.ANSWERED, FULL)


async def test_everything_is_there_after_a_crash_at_each_step(opening: Opening) -> None:
    async with opening() as store:
        await store.turns.accept(prompt(1))
    async with opening() as store:
        assert not await store.turns.accept(prompt(1))
        claimed = await store.claim()
        await store.turns.attempt(claimed)
        await store.turns.announce(claimed, 0)
    async with opening() as store:
        assert await store.free_turn() is None
        assert await store.void(("discord",)) == 0
        assert await store.void() == 1
        claimed = await store.claim()
        assert (claimed.state, claimed.attempts) == (State.CLAIMED, 1)
        assert claimed.parts == (Posted(0, None),)
        await store.turns.answer(claimed, FULL, SPOKEN, Memory(start=0, told=True))
    async with opening() as store:
        await store.void()
        claimed = await store.claim()
        assert (claimed.state, claimed.outcome) == (State.ANSWERED, FULL)
        await store.turns.finish(claimed, State.SETTLED)
        kept = await store.history.load(THREAD)
        assert (kept.messages, kept.memory.told) == (SPOKEN, True)
    async with opening() as store:
        assert await store.free_turn() is None
        assert await store.void() == 0


async def test_work_is_found_by_index_among_ten_thousand_settled_turns(store: Store) -> None:
    await store.database.write(settle_many, 10_000)
    await store.turns.accept(prompt(1))
    age = await store.database.read(plan_of, inbox.free_conversation(["slack", "web"], 5.0))
    head = await store.database.read(plan_of, inbox.head_turn(1))
    count = await store.database.read(plan_of, inbox.open_turns(THREAD))
    assert "ix_turn_open_by_age" in age[0]
    assert "conversation USING INTEGER PRIMARY KEY" in age[1]
    assert "SEARCH turn USING COVERING INDEX ix_turn_open_in_order" in head[0]
    assert "SEARCH turn USING COVERING INDEX ix_turn_open_in_order" in count[0]
    assert len(age) == 2, f"sorting or scanning: {age}"
    assert len(head) == 1, f"sorting or scanning: {head}"
    assert (await store.claim()).prompt == prompt(1)


async def test_few_statements_a_transaction(store: Store) -> None:
    def accept(conn: Connection) -> list[str]:
        with traced(conn) as statements:
            assert inbox.accept(conn, prompt(2), 0.0)
        return statements

    await store.turns.accept(prompt(1))
    statements = await store.database.write(accept)
    assert len(statements) == 2, statements  # lock the conversation, then count and insert
