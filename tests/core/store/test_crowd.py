"""Ten open turns a conversation, and who comes before whom."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from core.lifecycle import State
from core.store import inbox
from core.store.database import configure
from core.store.inbox import MOST_OPEN
from core.types import Memory
from tests.core.store.making import COMPLETE, HERE, LEASE, THREAD, Store, prompt


async def crowd(store: Store, *more: int) -> None:
    """As many prompts as fit, and some beyond."""
    for number in (*range(1, MOST_OPEN + 1), *more):
        assert await store.turns.accept(prompt(number))


async def answered(store: Store) -> int:
    """Bring the head turn to its end; returns its number."""
    claimed = await store.claim()
    await store.say(claimed)
    await store.turns.finish(claimed, State.SETTLED)
    return int(claimed.prompt.sequence)


async def test_the_eleventh_is_stored_aside_and_waits_for_nobody(store: Store) -> None:
    await crowd(store, 11, 12)
    assert await store.turns.waiting(THREAD) == MOST_OPEN
    first, *refused = [await store.claim() for _ in range(3)]
    assert (first.prompt, first.crowded) == (prompt(1), False)
    assert [turn.prompt.identity for turn in refused] == [prompt(n).identity for n in (11, 12)]
    for number, turn in zip((11, 12), refused, strict=True):
        assert turn.crowded
        assert turn.prompt.address == prompt(number).address, "so it shows in the same place"
        await store.turns.answer(turn, COMPLETE, (), Memory())
        await store.turns.finish(turn, State.SETTLED)
    assert await store.turns.claim("w", HERE, LEASE) is None, "the others wait for the first"


async def test_what_is_known_is_known_whether_it_was_refused_or_not(store: Store) -> None:
    await crowd(store, 11)
    for number in (1, 10, 11):
        assert not await store.turns.accept(prompt(number))
    for _ in range(MOST_OPEN + 1):
        await answered(store)
    assert await store.turns.claim("w", HERE, LEASE) is None
    assert not await store.turns.accept(prompt(11)), "its refusal stands, though there is room now"
    with closing(sqlite3.connect(store.database.place)) as file:
        (made,) = file.execute("SELECT count(*) FROM conversation").fetchone()
    assert made == 2, "a copy leaves nothing behind"


async def test_there_is_room_again_when_one_is_answered(store: Store) -> None:
    await crowd(store)
    assert await answered(store) == 1
    assert await store.turns.accept(prompt(11))
    assert [await answered(store) for _ in range(MOST_OPEN)] == list(range(2, 12))


async def test_a_refused_follow_up_is_one_and_nothing_follows_up_on_a_refusal(
    store: Store,
) -> None:
    await crowd(store)
    assert await store.turns.accept(prompt(11, follow_up=True))
    assert not await store.turns.accept(prompt(1, "elsewhere", follow_up=True))
    crowded = f"{THREAD}#{prompt(11).identity}"
    recent = await store.turns.recent("slack", 0.0, 100)
    assert [one.thread for one in recent] == [THREAD]
    assert await store.turns.waiting(prompt(1, crowded).thread) == 1


async def test_how_many_are_before_a_prompt(store: Store) -> None:
    await crowd(store, 11)
    await store.turns.accept(prompt(5, "slack:other"))
    assert [await store.turns.ahead(prompt(n)) for n in (1, 2, 10)] == [0, 1, 9]
    assert await store.turns.ahead(prompt(11)) == 0, "who is refused waits for nobody"
    assert await store.turns.ahead(prompt(99)) == 0, "nor does who is not known"
    await answered(store)
    assert await store.turns.ahead(prompt(2)) == 0
    assert await store.turns.ahead(prompt(4)) == 2


async def test_a_turn_waited_if_the_one_before_it_was_open_when_it_came(store: Store) -> None:
    waited = []
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2))
    for _ in range(2):
        store.clock.now += 5
        claimed = await store.claim()
        waited.append(claimed.waited)
        await store.turns.release(claimed)
        claimed = await store.claim()
        waited.append(claimed.waited)
        await store.say(claimed)
        await store.turns.finish(claimed, State.SETTLED)
    store.clock.now += 5
    await store.turns.accept(prompt(3))
    waited.append((await store.claim()).waited)
    assert waited == [False, False, True, True, False], "after a crash as before it"


@pytest.mark.parametrize("left", ["settled", "dead", "given back"])
async def test_who_was_overtaken_waits_for_the_later_one_that_is_answered(
    store: Store, left: str
) -> None:
    await store.turns.accept(prompt(2))
    held = await store.claim()
    store.clock.now += 5
    for number in (1, 3):
        await store.turns.accept(prompt(number))
    assert [await store.turns.ahead(prompt(n)) for n in (1, 2, 3)] == [1, 0, 2]
    store.clock.now += 5
    match left:
        case "settled":
            await store.say(held)
            await store.turns.finish(held, State.SETTLED)
        case "dead":
            await store.void()
        case "given back":
            await store.turns.release(held)
    store.clock.now += 5
    claimed = await store.claim()
    assert (claimed.prompt, claimed.waited) == (prompt(1), True)
    assert await store.turns.ahead(prompt(1)) == 0, "it waits no more"


async def test_a_later_one_that_ended_before_is_not_waited_for(store: Store) -> None:
    await store.turns.accept(prompt(2))
    assert await answered(store) == 2
    store.clock.now += 5
    for number in (1, 3):
        await store.turns.accept(prompt(number))
    assert await store.turns.ahead(prompt(1)) == 0
    claimed = await store.claim()
    assert (claimed.prompt, claimed.waited) == (prompt(1), False)


async def test_side_by_side_no_more_get_in(path: Path) -> None:
    """Several processes at once, as threads with a connection each."""
    together, opening = threading.Barrier(4), threading.Lock()

    def writer(first: int) -> None:
        engine = create_engine(
            f"sqlite:///{path}", connect_args={"isolation_level": None, "timeout": 30}
        )
        configure(engine, "BEGIN IMMEDIATE")
        with opening:  # SQLite doesn't wait for others where a file gets its first WAL
            engine.connect().close()
        together.wait(10)
        for number in range(first, first + 8):
            with engine.begin() as conn:
                assert inbox.accept(conn, prompt(number), 0.0)
        engine.dispose()

    await asyncio.gather(*(asyncio.to_thread(writer, first) for first in (10, 20, 30, 40)))
    with closing(sqlite3.connect(path)) as file:
        counts = file.execute("SELECT count(*) FROM turn GROUP BY crowded ORDER BY 1").fetchall()
    assert counts == [(MOST_OPEN,), (32 - MOST_OPEN,)]
