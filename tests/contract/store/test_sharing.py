"""Many workers of several processes on one database, truly at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest

from core.errors import LostClaim, Withdrawn
from core.lifecycle import State
from core.ports import Turn
from core.store.clock import LONGEST
from core.store.inbox import MOST_OPEN
from core.store.postgres import PostgresDatabase
from core.store.sql import SqlHistory, SqlSeats, SqlTurns
from core.types import Memory
from tests.contract.store.serving import connected, until
from tests.core.store.making import COMPLETE, HERE, LEASE, SPOKEN, THREAD, Store, prompt

T = TypeVar("T")

REPLICAS = 8
CONVERSATIONS = 200


@pytest.fixture
async def replicas(url: str) -> AsyncGenerator[list[SqlTurns], None]:
    """The turns as each of the processes sees them, by the clock of the server."""
    async with AsyncExitStack() as stack:
        opened = [PostgresDatabase.open(url) for _ in range(REPLICAS)]
        yield [SqlTurns(await stack.enter_async_context(one)) for one in opened]


async def claim_all(turns: SqlTurns, owner: str) -> list[Turn]:
    """What one worker gets until there is nothing left for it."""
    got = []
    while claimed := await turns.claim(owner, HERE, LEASE):
        got.append(claimed)
    return got


async def test_eight_claim_two_hundred_conversations_each_once(replicas: list[SqlTurns]) -> None:
    for number in range(CONVERSATIONS):
        assert await replicas[0].accept(prompt(1, f"thread {number}"))
    shares = await asyncio.gather(*(claim_all(one, f"w{n}") for n, one in enumerate(replicas)))
    taken = Counter(claimed.prompt.thread for share in shares for claimed in share)
    assert len(taken) == CONVERSATIONS, "none was skipped"
    assert set(taken.values()) == {1}
    assert sum(bool(share) for share in shares) > 1, "they did work at once"
    numbers = [[int(one.prompt.thread.split()[1]) for one in share] for share in shares]
    # Who skips what another is taking this moment is ahead of it by as many as there are others.
    behind = [max(share[:at]) - one for share in numbers for at, one in enumerate(share) if at]
    assert max(behind) < REPLICAS, "the oldest first"


async def test_eight_work_through_conversations_of_many_turns(replicas: list[SqlTurns]) -> None:
    """Settled in between, with accepts going on: no turn twice, none out of order, none left."""
    done: dict[str, list[str]] = {}

    async def work(turns: SqlTurns, owner: str) -> None:
        while sum(map(len, done.values())) < 20 * 10:
            claimed = await turns.claim(owner, HERE, LEASE)
            if claimed is None:
                await asyncio.sleep(0.001)
                continue
            await turns.answer(claimed, COMPLETE, SPOKEN, Memory())
            done.setdefault(claimed.prompt.thread, []).append(claimed.prompt.sequence)
            await turns.finish(claimed, State.SETTLED)

    async def ask(turns: SqlTurns, thread: str) -> None:
        for number in range(10):
            assert await turns.accept(prompt(number, thread))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(ask(replicas[number % REPLICAS], f"thread {number}"))
        for number, turns in enumerate(replicas):
            group.create_task(work(turns, f"w{number}"))
    assert len(done) == 20
    assert {tuple(order) for order in done.values()} == {tuple(f"{n:06}" for n in range(10))}


async def test_one_identity_delivered_to_every_replica_is_one_turn(
    replicas: list[SqlTurns],
) -> None:
    for number in range(10):
        asked = prompt(number, f"thread {number}")
        accepted = await asyncio.gather(*(turns.accept(asked) for turns in replicas for _ in "ab"))
        assert accepted.count(True) == 1
        assert await replicas[0].waiting(asked.thread) == 1


async def test_prompts_of_one_conversation_do_not_undo_each_other(
    replicas: list[SqlTurns],
) -> None:
    asked = [replicas[n % REPLICAS].accept(prompt(n)) for n in range(40)]
    assert await asyncio.gather(*asked) == [True] * 40
    assert await replicas[0].waiting(THREAD) == MOST_OPEN, "counted by one after the other"
    claimed = await claim_all(replicas[1], "w")
    assert [turn.crowded for turn in claimed].count(True) == 40 - MOST_OPEN


async def test_a_conversation_that_another_is_taking_is_skipped_and_not_waited_for(
    url: str, replicas: list[SqlTurns]
) -> None:
    for thread in ("first", "second"):
        await replicas[0].accept(prompt(1, thread))
    async with connected(url) as other, other.transaction():
        await other.execute("SELECT 1 FROM conversation WHERE thread = 'first' FOR UPDATE")
        async with asyncio.timeout(2):
            claimed = await replicas[0].claim("w", HERE, LEASE)
            assert claimed is not None
            assert claimed.prompt.thread == "second"
            assert await replicas[0].claim("w", HERE, LEASE) is None
    again = await replicas[0].claim("w", HERE, LEASE)
    assert again is not None
    assert again.prompt.thread == "first", "skipped, but not for ever"


async def test_an_accept_waits_for_a_claim_in_flight_and_no_longer(
    url: str, replicas: list[SqlTurns]
) -> None:
    """Both write the conversation's row: the one to count, the other to take it."""
    await replicas[0].accept(prompt(1))
    async with connected(url) as claiming, claiming.transaction():
        await claiming.execute("SELECT 1 FROM conversation FOR NO KEY UPDATE")
        accepting = asyncio.ensure_future(replicas[1].accept(prompt(2)))
        await asyncio.wait([accepting], timeout=0.2)
        assert not accepting.done()
    async with asyncio.timeout(1):
        assert await accepting


_SLOWLY = """
CREATE FUNCTION slowly() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    PERFORM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7);
    RETURN true;
END $$;
ALTER TABLE conversation ENABLE ROW LEVEL SECURITY;
CREATE POLICY slowly ON conversation USING (slowly());
GRANT ALL ON ALL TABLES IN SCHEMA public TO plain;
"""


async def test_a_turn_settled_between_the_look_and_the_lock_is_not_claimed(own: str) -> None:
    """The look is held up where it reads the conversations, before it locks the one it found."""
    slow_url = own.replace("postgres@", "plain@")
    async with connected(own) as other:
        await other.execute(_SLOWLY)
    async with (
        connected(own) as other,
        PostgresDatabase.open(own) as database,
        PostgresDatabase.open(slow_url) as slow,
    ):
        turns = SqlTurns(database)
        await turns.accept(prompt(1, "settled meanwhile"))
        await turns.accept(prompt(1, "open"))
        await other.execute("SELECT pg_advisory_lock(7)")
        looking = asyncio.create_task(SqlTurns(slow).claim("slow", HERE, LEASE))
        held_up = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await until(lambda: other.fetchval(held_up))
        first = await turns.claim("quick", HERE, LEASE)
        assert first is not None
        assert first.prompt.thread == "settled meanwhile"
        await turns.finish(first, State.CANCELLED)
        await other.execute("SELECT pg_advisory_unlock(7)")
        claimed = await looking
        assert claimed is not None
        assert claimed.prompt.thread == "open"
        await turns.accept(prompt(2, "settled meanwhile"))
        again = await turns.claim("quick", HERE, LEASE)
    assert again is not None, "the conversation in between was let go"


async def test_leases_are_by_the_clock_of_the_server(url: str) -> None:
    async with PostgresDatabase.open(url) as database:
        turns = SqlTurns(database)
        before = time.time()
        await turns.accept(prompt(1))
        claimed = await turns.claim("w", HERE, LEASE)
        assert claimed is not None
        async with connected(url) as other:
            row = await other.fetchrow(
                "SELECT lease_until, received_at, extract(epoch FROM now())::float8 AS now"
                " FROM conversation, turn"
            )
        assert before - 1 < row["received_at"] <= row["now"]
        assert LEASE - 5 < row["lease_until"] - row["now"] <= LEASE


async def test_a_machine_whose_clock_is_wrong_takes_nothing_from_the_others(
    replicas: list[SqlTurns], url: str
) -> None:
    """No time of a machine reaches a statement: the parameters of a claim hold none."""
    await replicas[0].accept(prompt(1))
    claimed = await replicas[0].claim("w", HERE, 0.2)
    assert claimed is not None
    assert await replicas[1].claim("other", HERE, LEASE) is None
    second = await until(lambda: replicas[1].claim("other", HERE, LEASE))
    assert second is not None
    assert second.fence == claimed.fence + 1
    with pytest.raises(LostClaim):
        await replicas[0].renew(claimed, LEASE)


async def test_the_clock_of_the_server_set_back_holds_no_turn_for_long(
    replicas: list[SqlTurns], url: str
) -> None:
    """What was leased before it was set back by an hour ends an hour late."""
    await replicas[0].accept(prompt(1))
    claimed = await replicas[0].claim("dead", HERE, LEASE)
    assert claimed is not None
    async with connected(url) as other:
        await other.execute("UPDATE conversation SET lease_until = lease_until + 3600")
    assert await replicas[1].claim("other", HERE, LEASE) is None
    async with connected(url) as other:
        left = "lease_until - extract(epoch FROM now())::float8"
        assert LONGEST - 5 < await other.fetchval(f"SELECT {left} FROM conversation") <= LONGEST
        await other.execute(f"UPDATE conversation SET lease_until = lease_until - {LONGEST}")
    second = await until(lambda: replicas[1].claim("other", HERE, LEASE))
    assert second is not None
    assert second.fence == claimed.fence + 1


async def test_nobody_voids_the_leases_of_others(store: Store) -> None:
    await store.turns.accept(prompt(1))
    claimed = await store.claim()
    with pytest.raises(ValueError, match="sole use"):
        await store.turns.take_over(HERE)
    await store.say(claimed)


async def holding(other: Any) -> Any:
    """A transaction of somebody else's that holds all conversations until it is committed."""
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM conversation FOR UPDATE")
    return transaction


async def held_up(work: Awaitable[T]) -> asyncio.Future[T]:
    """It is begun, and waits for somebody."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=0.2)
    assert not task.done()
    return task


async def test_a_restart_waits_for_the_answer_and_sees_it_whole(
    url: str, replicas: list[SqlTurns]
) -> None:
    """Begun before the answer was committed, done behind its end: nothing of it is sent again."""
    await replicas[0].accept(prompt(1))
    claimed = await replicas[0].claim("w", HERE, LEASE)
    assert claimed is not None
    async with PostgresDatabase.open(url) as database, connected(url) as other:
        history = SqlHistory(database)
        transaction = await holding(other)
        restarting = await held_up(history.restart(THREAD))
        await other.execute(
            "INSERT INTO message (conversation_id, position, role, author, content, identity)"
            " SELECT id, 0, 'user', 'Ann', 'hello', '' FROM conversation"
        )
        await other.execute("UPDATE turn SET state = 'cancelled', settled_at = 1.0")
        await other.execute("UPDATE conversation SET owner = NULL, lease_until = NULL")
        await transaction.commit()
        assert await restarting is True
        assert (await history.load(THREAD)).messages == ()


async def test_what_a_thread_said_is_not_stored_behind_its_deletion(
    url: str, replicas: list[SqlTurns]
) -> None:
    """Begun before the deletion was committed, and held up by it."""
    await replicas[0].accept(prompt(1))
    claimed = await replicas[0].claim("w", HERE, LEASE)
    assert claimed is not None
    async with PostgresDatabase.open(url) as database, connected(url) as other:
        history = SqlHistory(database)
        transaction = await holding(other)
        adopting = await held_up(history.adopt(claimed, SPOKEN, Memory()))
        await other.execute("UPDATE turn SET withdrawn = true")
        await transaction.commit()
        with pytest.raises(Withdrawn):
            await adopting
        assert (await history.load(THREAD)).messages == ()


@pytest.mark.parametrize(
    "call",
    [
        lambda turns, claimed: turns.attempt(claimed),
        lambda turns, claimed: turns.announce(claimed, 0),
        lambda turns, claimed: turns.renew(claimed, LEASE),
        lambda turns, claimed: turns.answer(claimed, COMPLETE, SPOKEN, Memory()),
        lambda turns, claimed: turns.finish(claimed, State.ABANDONED),
    ],
    ids=["attempt", "announce", "renew", "answer", "finish"],
)
async def test_nothing_is_written_behind_a_withdrawal_that_it_waited_for(
    url: str, replicas: list[SqlTurns], call: Callable[[SqlTurns, Turn], Awaitable[object]]
) -> None:
    """Whichever commits first wins, also where both were under way at once."""
    await replicas[0].accept(prompt(1))
    claimed = await replicas[0].claim("w", HERE, LEASE)
    assert claimed is not None
    async with connected(url) as other:
        transaction = await holding(other)
        writing = await held_up(call(replicas[0], claimed))
        await other.execute("UPDATE turn SET withdrawn = true")
        await transaction.commit()
        with pytest.raises(Withdrawn):
            await writing
        assert await other.fetchval("SELECT count(*) FROM part") == 0


async def test_eight_look_at_once_and_every_seat_has_one_holder(url: str) -> None:
    """Again and again: fair in the end, and at no time two holders or two sizes."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(PostgresDatabase.open(url)) for _ in range(8)]
        seats = [SqlSeats(database, f"w{n}") for n, database in enumerate(opened)]
        seatings = await asyncio.gather(*(one.look("discord:1", 12, LEASE) for one in seats))
        taken = [seat.number for seating in seatings for seat in seating.held]
        assert sorted(taken) == list(range(12)), "each once"
        for one, seating in zip(seats, seatings, strict=True):
            if len(seating.held) > 2:
                for seat in sorted(seating.held, key=lambda seat: seat.number)[2:]:
                    await one.release("discord:1", seat)
        rounds = [await one.look("discord:1", 12, LEASE) for one in (*seats, *seats)]
        assert max(len(seating.held) for seating in rounds[8:]) == 2
        assert sum(len(seating.held) for seating in rounds[8:]) == 12


async def test_who_want_different_numbers_of_seats_never_hold_of_both(url: str) -> None:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(PostgresDatabase.open(url)) for _ in range(8)]
        seats = [SqlSeats(database, f"w{n}") for n, database in enumerate(opened)]
        for scope in map(str, range(20)):
            looks = (one.look(scope, 1 + n % 2, LEASE) for n, one in enumerate(seats))
            seatings = await asyncio.gather(*looks)
            assert len({seat.size for seating in seatings for seat in seating.held}) == 1


async def test_of_eight_one_may_begin(url: str) -> None:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(PostgresDatabase.open(url)) for _ in range(8)]
        asked = [SqlSeats(one, f"w{n}").reserve("d", "0", "x", 5) for n, one in enumerate(opened)]
        assert (await asyncio.gather(*asked)).count(True) == 1
