"""Words that are too old: what leaves the store, what stays, and how a conversation goes on."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import JSON, Connection, select

from core.lifecycle import State
from core.ports import Amended, Exchange, Recent, Turn
from core.store import retention
from core.store.edits import MARK
from core.store.retention import Erased
from core.store.schema import WordList, Words, message, metadata, part, turn
from core.types import Conversation, Memory, Outcome, PartId, Remembered, Role, ThreadKey, Verdict
from tests.core.store.making import COMPLETE, FULL, THREAD, Store, prompt

DAY = 86_400.0
AGE = 30 * DAY

STAYS = {
    "conversation": {"platform", "thread", "owner"},
    "turn": {"identity", "sequence", "finish_reason", "model", "usage"},
    "part": {"part_id"},
    "message": set[str](),
    "seat": {"scope", "name", "owner"},
    "budget": {"name"},
}
"""Of the columns that take text of any origin, those that are no person's and no model's words."""


def cells(conn: Connection) -> dict[str, list[dict[str, Any]]]:
    """Everything that is stored, by table."""
    return {
        name: [dict(row._mapping) for row in conn.execute(select(table))]
        for name, table in metadata.tables.items()
    }


def said(number: int, author: str = "Ann") -> tuple[Remembered, Remembered]:
    """The entries of a turn."""
    asked = Remembered(Role.USER, f"question {number}", author)
    return asked, Remembered(Role.ASSISTANT, f"answer {number}")


async def settle(store: Store, number: int, *entries: Remembered, **changes: Any) -> Turn:
    """A turn from its beginning to its end; entries: none for those of `said`."""
    await store.turns.accept(prompt(number, **changes))
    held = await store.claim()
    kept = await store.history.load(held.prompt.thread)
    await store.turns.answer(held, COMPLETE, entries or said(number), kept.memory)
    await store.turns.finish(held, State.SETTLED)
    return held


async def erase(store: Store, age: float = AGE) -> Erased:
    """A whole round."""
    erased = Erased()
    while some := await store.turns.erase(age):
        if some == Erased():
            break
        erased += some
    return erased


async def contents(store: Store, thread: ThreadKey = THREAD) -> list[str]:
    return [entry.content for entry in (await store.history.load(thread)).messages]


async def test_of_what_ended_long_ago_no_word_is_left(store: Store) -> None:
    """Nor who said it, nor where it was answered: an address has a command's token in it."""
    asked = prompt(1, author="canary", text="canary", address="canary", files=("canary",))
    await store.turns.accept(asked)
    held = await store.claim()
    theirs = Remembered(Role.USER, "canary", "canary", "theirs")
    await store.history.adopt(held, (theirs,), Memory(speaker="canary"))
    await store.turns.posted(held, 0, PartId("p0"))
    outcome = Outcome(
        verdict=Verdict.COMPLETE,
        text="canary",
        notice="canary",
        candidates=("canary", "canary"),
        reasoning="canary",
        usage=FULL.usage,
        finish_reason="stop",
        model="deepseek-v3",
        response_id="canary",
        trace_id="canary",
    )
    entries = (Remembered(Role.USER, "canary", "canary"), Remembered(Role.ASSISTANT, "canary"))
    await store.turns.answer(held, outcome, entries, Memory(speaker="canary"))
    await store.turns.finish(held, State.ABANDONED, "canary")
    assert str(await store.database.read(cells)).count("canary") == 18
    store.clock.now += AGE
    assert await erase(store) == Erased(turns=1, entries=3)
    left = await store.database.read(cells)
    assert "canary" not in str(left)
    (kept,) = left["turn"]
    assert kept["identity"] == asked.identity
    assert (kept["state"], kept["verdict"]) == ("abandoned", "complete")
    assert (kept["usage"]["total_tokens"], kept["model"]) == (30, "deepseek-v3")
    assert [part["part_id"] for part in left["part"]] == ["p0"]


def test_each_column_is_said_to_be_erased_or_to_stay() -> None:
    """One that is added has to be thought of."""
    erased = {
        "turn": retention.BLANK.keys(),
        "conversation": {"speaker"},
        "message": message.c.keys(),
    }
    for name, table in metadata.tables.items():
        texts = {c.name for c in table.c if isinstance(c.type, Words | WordList | JSON)}
        assert texts - STAYS[name] <= set(erased.get(name, ())), name


def test_what_a_turn_has_goes_or_is_put_back_with_it() -> None:
    """It is deleted for a moment, and all that belongs to it with it."""
    having = {
        key.parent.table
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table is turn
    }
    assert having == {part, message}


async def test_nothing_goes_before_its_time(store: Store) -> None:
    """Which begins when all is over, though the question may have waited for long."""
    await store.turns.accept(prompt(1))
    store.clock.now += AGE
    held = await store.claim()
    await store.say(held, *said(1))
    await store.turns.finish(held, State.SETTLED)
    store.clock.now += AGE - 1
    assert await erase(store) == Erased()
    assert await contents(store) == ["question 1", "answer 1"]
    store.clock.now += 1
    assert await erase(store) == Erased(1, 2)
    assert await erase(store) == Erased(), "once is enough"


@pytest.mark.parametrize("state", ["received", "claimed", "answered", "delivered"])
async def test_a_turn_that_has_not_ended_is_left_alone(store: Store, state: str) -> None:
    """However old: its platform may have refused our token for months."""
    await store.turns.accept(prompt(1))
    held = await store.claim()
    if state in ("answered", "delivered"):
        await store.turns.answer(held, FULL, said(1), Memory())
    if state == "delivered":
        await store.turns.deliver(held, 25.0)
    if state == "received":
        await store.turns.release(held)
    store.clock.now += 100 * AGE
    assert await erase(store) == Erased()
    found = await store.claim()
    assert (found.state, found.prompt.text, found.prompt.address) == (
        State.CLAIMED if state == "received" else state,
        "question 1",
        prompt(1).address,
    )
    assert found.outcome == (FULL if state in ("answered", "delivered") else None)


@pytest.mark.parametrize("end", [State.ABANDONED, State.CANCELLED])
async def test_a_turn_without_an_answer_goes_as_well(store: Store, end: State) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.finish(await store.claim(), end)
    await store.turns.accept(prompt(2))
    await store.turns.withdraw(prompt(2).identity)
    store.clock.now += AGE
    assert await erase(store) == Erased(2, 0)
    assert "question" not in str(await store.database.read(cells))


async def test_what_is_known_stays_known(store: Store) -> None:
    """However late an event comes once more, or an edit: nobody is answered twice."""
    held = await settle(store, 1)
    me = held.prompt.identity
    store.clock.now += AGE
    await erase(store)
    assert not await store.turns.accept(prompt(1))
    assert await store.turns.amend(me, "other words") == Amended(known=True)
    assert "other words" not in str(await store.database.read(cells))
    assert not await store.turns.withdraw(me)
    assert await store.free_turn() is None
    assert await erase(store) == Erased()


async def test_a_thread_that_was_ours_stays_ours(store: Store) -> None:
    """Who goes on in it without naming us is answered, and it is read back as it was."""
    await settle(store, 1)
    before = await store.turns.recent("slack", 0.0, 10)
    store.clock.now += AGE
    await erase(store)
    assert await store.turns.recent("slack", 0.0, 10) == before
    assert before == (Recent(THREAD, "000001", "000001"),)
    assert not await store.turns.accept(prompt(0, follow_up=True)), "said before we were asked"
    assert await store.turns.accept(prompt(2, follow_up=True))


async def test_a_conversation_goes_on_with_what_is_left(store: Store) -> None:
    """Its window begins with the first entry there is, so that leaving out more counts from it."""
    for number in range(1, 4):
        await settle(store, number)
        store.clock.now += DAY
    store.clock.now += AGE - 3 * DAY
    assert await erase(store) == Erased(1, 2)
    assert await contents(store) == ["question 2", "answer 2", "question 3", "answer 3"]
    kept = await store.history.load(THREAD)
    assert (kept.memory.start, kept.memory.speaker, kept.fresh) == (2, "", False)
    await settle(store, 4)
    assert await contents(store) == [*(e.content for n in (2, 3, 4) for e in said(n))]
    assert (await store.history.load(THREAD)).memory.start == 2


async def test_an_answer_under_way_finds_its_place_though_all_before_it_went(store: Store) -> None:
    for number in (1, 2):
        await settle(store, number)
    await store.turns.accept(prompt(3))
    held = await store.claim()
    kept = await store.history.load(THREAD)
    store.clock.now += AGE
    assert await erase(store) == Erased(2, 4)
    trimmed = Memory(start=kept.memory.start + 2, speaker="Ann")
    await store.turns.answer(held, COMPLETE, said(3), trimmed)
    await store.turns.finish(held, State.SETTLED)
    assert await contents(store) == ["question 3", "answer 3"]
    await settle(store, 4)
    assert await contents(store) == ["question 3", "answer 3", "question 4", "answer 4"]


async def test_where_nothing_is_left_the_thread_may_be_read_again(store: Store) -> None:
    """With the questions in it: that they were turns once is no reason to leave them out."""
    await settle(store, 1)
    store.clock.now += AGE
    await erase(store)
    kept = await store.history.load(THREAD)
    assert kept == Conversation(THREAD)
    await store.turns.accept(prompt(2))
    held = await store.claim()
    again = Remembered(Role.USER, "question 1", "Ann", prompt(1).identity)
    new = Remembered(Role.USER, "question 2", "Ann", prompt(2).identity)
    await store.history.adopt(held, (again, new), Memory(speaker="Ann"))
    assert await contents(store) == ["question 1"]
    assert not await store.turns.withdraw(prompt(1).identity)
    assert await contents(store) == [MARK], "what is read again is deleted again"


@pytest.mark.parametrize("spoken", [True, False])
async def test_what_was_begun_afresh_is_not_read_again(store: Store, spoken: bool) -> None:
    if spoken:
        await settle(store, 1)
    else:
        await store.turns.accept(prompt(1))
        await store.turns.finish(await store.claim(), State.CANCELLED)
    assert await store.history.restart(THREAD)
    store.clock.now += AGE
    await erase(store)
    assert not (await store.history.load(THREAD)).fresh
    await settle(store, 2)
    assert await contents(store) == ["question 2", "answer 2"]
    assert await store.history.restart(THREAD)
    assert await contents(store) == []
    await settle(store, 3)
    assert await contents(store) == ["question 3", "answer 3"]


@pytest.mark.parametrize("several", [True, False])
async def test_the_first_speaker_is_named_only_as_long_as_that_tells_who_speaks(
    store: Store, several: bool
) -> None:
    for number in (1, 2):
        await store.turns.accept(prompt(number))
        held = await store.claim()
        memory = Memory(speaker="Ann", several=several)
        await store.turns.answer(held, COMPLETE, said(number), memory)
        await store.turns.finish(held, State.SETTLED)
        store.clock.now += DAY
    store.clock.now += AGE - 2 * DAY
    await erase(store)
    kept = (await store.history.load(THREAD)).memory
    assert kept == Memory(start=2, speaker="" if several else "Ann", several=several)
    store.clock.now += DAY
    await erase(store)
    assert (await store.history.load(THREAD)).memory == Memory()


async def test_what_was_read_from_a_thread_goes_with_its_first_question(store: Store) -> None:
    await store.turns.accept(prompt(1))
    held = await store.claim()
    earlier = [Remembered(Role.USER, f"earlier {n}", "Bob", f"i{n}") for n in range(3)]
    await store.history.adopt(held, earlier, Memory())
    await store.turns.answer(held, COMPLETE, said(1), Memory())
    await store.turns.finish(held, State.SETTLED)
    store.clock.now += DAY
    await settle(store, 2)
    store.clock.now += AGE - DAY
    assert await erase(store) == Erased(1, 5)
    assert await contents(store) == ["question 2", "answer 2"]


async def test_other_conversations_keep_theirs(store: Store) -> None:
    await settle(store, 1)
    store.clock.now += AGE
    other = await settle(store, 1, thread="other")
    assert await erase(store) == Erased(1, 2)
    assert await contents(store, other.prompt.thread) == ["question 1", "answer 1"]


async def test_what_is_shown_anew_is_what_is_left(store: Store) -> None:
    await settle(store, 1)
    store.clock.now += AGE
    await settle(store, 2)
    await erase(store)
    shown = Exchange(prompt(2).identity, "question 2", COMPLETE.text)
    assert await store.turns.exchanges(THREAD, 10) == (shown,)


async def test_one_transaction_takes_no_longer_than_it_may(store: Store) -> None:
    for number in range(3):
        await settle(store, number)
        store.clock.now += 1
    store.clock.now += AGE
    now = store.turns._clock()
    for number in range(3):
        done = await store.database.write(retention.erase, AGE, 0.0, now)
        assert done == Erased(1, 2), "the oldest"
        left = [entry.content for entry in (await store.history.load(THREAD)).messages]
        assert left[:1] == [f"question {n}" for n in range(number + 1, 3)][:1]
    assert await store.database.write(retention.erase, AGE, 0.0, now) == Erased()


async def test_several_at_once_are_no_harm(store: Store) -> None:
    for number in range(20):
        await settle(store, number, thread=f"t{number % 3}")
    store.clock.now += AGE
    rounds: Sequence[Erased] = await asyncio.gather(*(erase(store) for _ in range(4)))
    assert sum(done.turns for done in rounds) + (await erase(store)).turns == 20
    assert "question" not in str(await store.database.read(cells))
