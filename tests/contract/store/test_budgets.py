"""Many who spend one budget, truly at once: never more than the allowance, whatever happens."""

import asyncio
import sys
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.delivery.sharing import SHARE
from core.store.budgets import AWAY, SharedBudget
from core.store.postgres import PostgresDatabase
from core.types import Allowance, Kind
from tests.contract.store.gateway import Gateway, gateway
from tests.contract.store.hammer import ALLOWANCE, ask
from tests.contract.store.serving import Cluster, connected, until

ROOT = Path(__file__).parents[3]
SLOW = Allowance("slow", burst=4, rate=0.02, shared=True)
HERE = Allowance("here", burst=1, rate=1.0)

# Every granted call, as the server sees it: by its own clock, and by the time the row was told.
WATCHED = """
CREATE TABLE granted (number bigserial, seen double precision, at double precision);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO granted (seen, at) VALUES (extract(epoch FROM clock_timestamp()), NEW.at);
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON budget FOR EACH ROW EXECUTE FUNCTION watch();
"""


class Clock:
    """The loop's time, which a test may move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


@pytest.fixture
async def replicas(url: str) -> AsyncGenerator[list[SharedBudget], None]:
    """The budget as each of four processes sees it."""
    async with AsyncExitStack() as stack:
        opened = [PostgresDatabase.open(url) for _ in range(4)]
        now = asyncio.get_running_loop().time
        yield [SharedBudget(await stack.enter_async_context(one), now) for one in opened]


@asynccontextmanager
async def hammering(url: str, seconds: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that asks and asks; it has begun."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.store.hammer", url, str(seconds)),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout
    while (line := await process.stdout.readline()) != b"begun\n":
        assert line, "it ended"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def drained(budget: SharedBudget, allowance: Allowance, kind: Kind) -> int:
    """How many calls are granted at once."""
    granted = 0
    while await budget.take(allowance, kind) == 0:
        granted += 1
    return granted


async def within_the_allowance(other: Any, begin: float) -> int:
    """No time since `begin` saw too many calls; returns how many there were."""
    rows = await other.fetch("SELECT seen, at FROM granted ORDER BY number")
    for count, row in enumerate(rows, 1):
        assert count <= ALLOWANCE.burst + ALLOWANCE.rate * (row["seen"] - begin)
    times = sorted(row["at"] for row in rows)
    for seconds in (0.5, 1.0, 2.0):
        for index, start in enumerate(times):
            count = bisect_left(times, start + seconds) - index
            assert count <= ALLOWANCE.burst + ALLOWANCE.rate * seconds + 1e-3
    return len(rows)


async def server_time(other: Any) -> float:
    """By the server's clock."""
    return float(await other.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))


async def test_processes_that_hammer_never_get_more_than_the_allowance(own: str) -> None:
    async with connected(own) as other:
        await other.execute(WATCHED)
        async with (
            hammering(own, 6.0) as first,
            hammering(own, 6.0) as second,
            PostgresDatabase.open(own) as database,
        ):
            begin = await server_time(other)
            before = await other.fetchval("SELECT count(*) FROM granted")
            loop = asyncio.get_running_loop()
            budget = SharedBudget(database, loop.time)
            mine = [ask(budget, kind, loop.time() + 3.0) for kind in (*Kind, Kind.FINAL)]
            granted = [sum(await asyncio.gather(*mine))]
            for process in (first, second):
                assert process.stdout
                granted.append(sum(map(int, (await process.stdout.read()).split())))
            took = await server_time(other) - begin
        assert all(granted), "each of them got some"
        assert before + 0.5 * ALLOWANCE.rate * took < sum(granted), "and it was made use of"
        began = begin - before / ALLOWANCE.rate
        assert await within_the_allowance(other, began) == sum(granted)


async def test_who_is_killed_holds_nothing(own: str) -> None:
    async with connected(own) as other, PostgresDatabase.open(own) as database:
        await other.execute(WATCHED)
        begin = await server_time(other)
        budget = SharedBudget(database, asyncio.get_running_loop().time)
        for _ in range(3):
            async with hammering(own, 60.0) as process:
                has = await other.fetchval("SELECT count(*) FROM granted")
                more = "SELECT count(*) > $1 FROM granted"
                await until(lambda has=has, more=more: other.fetchval(more, has))  # type: ignore[misc]
                process.kill()
                await process.wait()
            loop = asyncio.get_running_loop()
            assert await ask(budget, Kind.FINAL, loop.time() + 1.0) > 0
        assert await within_the_allowance(other, begin) > 0
        held = "SELECT count(*) FROM pg_locks WHERE relation = 'budget'::regclass"
        assert await other.fetchval(held) == 0


async def test_priorities_hold_between_replicas(replicas: list[SharedBudget]) -> None:
    for budget in replicas:
        for _ in range(3):
            budget.join(SLOW)
    granted = [await drained(budget, SLOW, Kind.INTERIM) for budget in replicas]
    assert granted == [1, 1, 0, 0], "each at its own pace, but for what is kept"
    assert await drained(replicas[1], SLOW, Kind.FIRST) == 1
    assert await drained(replicas[2], SLOW, Kind.FIRST) == 0
    assert await drained(replicas[2], SLOW, Kind.FINAL) == 1
    assert await drained(replicas[0], SLOW, Kind.FINAL) == 0


async def test_what_one_is_refused_slows_all_and_success_of_all_raises_it(
    replicas: list[SharedBudget], url: str
) -> None:
    one, two, three, _ = replicas
    assert await two.take(SLOW, Kind.FINAL) == 0
    await one.refused(SLOW, 30.0)
    for budget in replicas:
        assert 25.0 < await budget.take(SLOW, Kind.FINAL) <= 30.0
    async with connected(url) as other:
        await other.execute("UPDATE budget SET blocked_until = 0, tokens = 2.4")
        level = "SELECT rate, burst FROM budget WHERE name = 'slow'"
        rate, burst = await other.fetchrow(level)
        assert (rate, burst) == (pytest.approx(SLOW.rate * 0.75), pytest.approx(2.4))
        for _ in range(5):
            await three.succeeded(SLOW)
        await three.refused(SLOW, 0.0)  # what had succeeded is told with it, before it
        rate, burst = await other.fetchrow(level)
        assert (rate, burst) == (pytest.approx(SLOW.rate * 0.9 * 0.75), pytest.approx(3.0 * 0.6))


async def test_a_success_is_told_with_the_next_question(
    replicas: list[SharedBudget], url: str
) -> None:
    one, two, *_ = replicas
    await one.refused(SLOW, 0.0)
    async with connected(url) as other:
        await other.execute("UPDATE budget SET tokens = 2, blocked_until = 0")
        for _ in range(4):
            await two.succeeded(SLOW)
        assert await two.take(SLOW, Kind.FINAL) == 0
        rate = await other.fetchval("SELECT rate FROM budget")
        assert rate == pytest.approx(SLOW.rate * 0.87)


async def test_those_who_wait_here_do_not_ask_the_server_again(
    replicas: list[SharedBudget], url: str
) -> None:
    budget = replicas[0]
    async with connected(url) as other:
        assert await drained(budget, SLOW, Kind.FINAL) == 4
        await other.execute("UPDATE budget SET tokens = 4")
        assert await budget.take(SLOW, Kind.INTERIM) > 1, "it was told when to ask again"
        assert await replicas[1].take(SLOW, Kind.FINAL) == 0


async def test_what_is_not_shared_asks_no_server(replicas: list[SharedBudget], url: str) -> None:
    assert await replicas[0].take(HERE, Kind.FINAL) == 0
    assert await replicas[1].take(HERE, Kind.FINAL) == 0
    await replicas[0].refused(HERE, 30.0)
    await replicas[0].succeeded(HERE)
    assert await replicas[0].take(HERE, Kind.FINAL) > 25
    async with connected(url) as other:
        assert await other.fetchval("SELECT count(*) FROM budget") == 0


async def test_a_database_that_is_gone_leaves_a_share(
    cluster: Cluster, url: str, replicas: list[SharedBudget]
) -> None:
    async with gateway(cluster.directory) as way:
        name = url.partition("@/")[2].partition("?")[0]
        there, now = f"postgresql://postgres@127.0.0.1:{way.port}/{name}", Clock()
        async with PostgresDatabase.open(there) as database:
            budget = SharedBudget(database, now, patience=0.3)
            await goes_on(way, budget, now)
            way.mend()
            now.ahead += AWAY
            assert await budget.take(SLOW, Kind.FINAL) == 0, "the fourth of the four"
    assert await replicas[0].take(SLOW, Kind.FINAL) > 1, "what was spent alone is counted"


async def goes_on(way: Gateway, budget: SharedBudget, now: Clock) -> None:
    """Two of four calls, the second without the database; the next is a share's wait away."""
    assert await budget.take(SLOW, Kind.FINAL) == 0
    way.cut()
    began = now()
    assert await budget.take(SLOW, Kind.FINAL) == 0
    wait = await budget.take(SLOW, Kind.FINAL)
    assert wait == pytest.approx(1 / (SLOW.rate * SHARE), rel=0.1)
    assert now() - began < 3.0, "it isn't asked again and again"
    now.ahead += wait
    assert await budget.take(SLOW, Kind.FINAL) == 0


async def test_a_refusal_without_the_database_is_obeyed_and_told_later(
    cluster: Cluster, url: str, replicas: list[SharedBudget]
) -> None:
    async with gateway(cluster.directory) as way:
        name = url.partition("@/")[2].partition("?")[0]
        there, now = f"postgresql://postgres@127.0.0.1:{way.port}/{name}", Clock()
        async with PostgresDatabase.open(there) as database:
            budget = SharedBudget(database, now, patience=0.3)
            way.stall()
            await budget.refused(SLOW, 40.0)
            assert await budget.take(SLOW, Kind.FINAL) == pytest.approx(40.0, abs=3)
            way.mend()
            now.ahead += 20.0
            await budget.refused(SLOW, 1.0)
    assert 15 < await replicas[0].take(SLOW, Kind.FINAL) <= 20


async def test_one_that_hangs_with_the_row_stops_nobody(url: str) -> None:
    async with connected(url) as other, PostgresDatabase.open(url) as database:
        await database.probe()  # connects, which may take longer than the budget has patience
        budget = SharedBudget(database, asyncio.get_running_loop().time, patience=0.3)
        assert await budget.take(SLOW, Kind.FINAL) == 0
        async with other.transaction():
            await other.execute("SELECT 1 FROM budget FOR UPDATE")
            async with asyncio.timeout(5):
                assert await budget.take(SLOW, Kind.FINAL) == 0
                assert await budget.take(SLOW, Kind.FINAL) > 0


async def test_a_server_whose_clock_was_set_back_grants_again(
    replicas: list[SharedBudget], url: str
) -> None:
    assert await replicas[0].take(ALLOWANCE, Kind.FINAL) == 0
    async with connected(url) as other:
        await other.execute("UPDATE budget SET tokens = 0, at = at + 3600")
        granted = await ask(replicas[1], Kind.FINAL, asyncio.get_running_loop().time() + 1.0)
        assert 0 < granted <= 1 + ALLOWANCE.rate


async def test_what_nobody_asks_for_is_forgotten(replicas: list[SharedBudget], url: str) -> None:
    async with connected(url) as other:
        day = "extract(epoch FROM now()) - 90000"
        await other.execute(
            "INSERT INTO budget (name, tokens, at, rate, burst, blocked_until) VALUES"
            f" ('old', 1, {day}, 1, 1, 0), ('blocked', 1, {day}, 1, 1, {day} + 180000)"
        )
        assert await replicas[0].take(SLOW, Kind.FINAL) == 0
        rows = await other.fetch("SELECT name FROM budget ORDER BY name")
        assert [row["name"] for row in rows] == ["blocked", "slow"]
