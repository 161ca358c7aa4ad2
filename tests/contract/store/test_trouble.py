"""Transactions on a server: whole, as patient as their caller, and with no error but our own."""

import asyncio
import gc
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from core.errors import StoreBusy, StoreError, StoreUnusable
from core.store import inbox
from core.store.postgres import PostgresDatabase
from core.store.schema import conversation
from core.store.sql import INGRESS_PATIENCE, SqlTurns
from tests.contract.store.gateway import Gateway
from tests.contract.store.serving import Cluster, connected, until
from tests.core.store.making import HERE, LEASE, THREAD, Store, prompt

SECRET = "what Ann wrote to nobody else"
ROOT = Path(__file__).parents[3]


async def count_of(url: str) -> int:
    async with connected(url) as other:
        found = await other.fetchval("SELECT count(*) FROM turn")
        assert isinstance(found, int)
        return found


async def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(store: Store) -> None:
    def fails(conn: Connection) -> None:
        inbox.accept(conn, prompt(1), 0.0)
        raise LookupError("in the middle")

    with pytest.raises(LookupError, match="in the middle"):
        await store.database.write(fails)
    assert await store.turns.waiting(THREAD) == 0
    assert await store.turns.accept(prompt(1))


async def test_a_cancelled_caller_leaves_a_whole_transaction(store: Store, url: str) -> None:
    await store.turns.accept(prompt(1))
    async with connected(url) as other, other.transaction():
        await other.execute("SELECT 1 FROM conversation FOR UPDATE")
        writing = asyncio.ensure_future(store.turns.accept(prompt(2)))
        assert await store.turns.waiting(THREAD) == 1, "readers do not wait for writers"
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await until(lambda: other.fetchval(waits))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    async def both() -> bool:
        return await store.turns.waiting(THREAD) == 2

    assert await until(both)


async def test_a_failure_that_nobody_waits_for_any_more_makes_no_noise(
    store: Store, url: str
) -> None:
    await store.turns.accept(prompt(1))
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    async with connected(url) as other, other.transaction():
        await other.execute("SELECT 1 FROM conversation FOR UPDATE")
        again = store.database.write(inbox.accept, prompt(2), 0.0, patience=0.3)
        writing = asyncio.ensure_future(again)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await until(lambda: other.fetchval(waits))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

        async def over() -> bool:
            return not await other.fetchval(waits)

        await until(over)
    assert await store.turns.waiting(THREAD) == 1
    await store.turns.accept(prompt(3))  # and whatever the failure left to do is done
    gc.collect()
    assert noise == []


async def test_patience_counts_the_wait_for_a_lock_and_nothing_is_written(
    store: Store, url: str
) -> None:
    await store.turns.accept(prompt(1))
    loop = asyncio.get_running_loop()
    async with connected(url) as other, other.transaction():
        await other.execute("SELECT 1 FROM conversation FOR UPDATE")
        began = loop.time()
        with pytest.raises(StoreBusy, match="no answer in time"):
            await store.database.write(inbox.accept, prompt(2), 0.0, patience=0.3)
        assert 0.3 <= loop.time() - began < 1.5
    assert await store.turns.waiting(THREAD) == 1
    assert await store.turns.accept(prompt(2))


async def test_patience_counts_the_wait_for_a_connection(store: Store, url: str) -> None:
    await store.turns.accept(prompt(1))
    async with connected(url) as other, other.transaction():
        await other.execute("SELECT 1 FROM conversation FOR UPDATE")
        patient = [asyncio.ensure_future(store.turns.accept(prompt(n))) for n in range(2, 12)]
        await until(lambda: other.fetchval("SELECT count(*) = 10 FROM pg_locks WHERE NOT granted"))
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreBusy):
            await store.database.write(inbox.accept, prompt(99, "other"), 0.0, patience=0.3)
        assert asyncio.get_running_loop().time() - began < 1.0
    assert await asyncio.gather(*patient) == [True] * 10


async def test_a_deadlock_is_tried_again(store: Store) -> None:
    for thread in ("a", "b"):
        await store.turns.accept(prompt(1, thread))
    runs = []

    def cross(conn: Connection, first: str, second: str) -> None:
        runs.append(first)
        lock = text("UPDATE conversation SET told = NOT told WHERE thread = :thread")
        conn.execute(lock, {"thread": first})
        if len(runs) <= 2:
            conn.execute(text("SELECT pg_sleep(0.2)"))
        conn.execute(lock, {"thread": second})

    await asyncio.gather(
        store.database.write(cross, "a", "b"), store.database.write(cross, "b", "a")
    )
    assert len(runs) == 3, "one of the two was undone and run again"


async def test_what_another_replica_migrates_is_not_noticed(own: str) -> None:
    """Statements that are prepared already give another type of column from then on."""

    def built_anew(conn: Connection) -> None:
        conn.execute(select(conversation)).all()

    async with PostgresDatabase.open(own) as database, connected(own) as other:
        turns = SqlTurns(database)
        for number in range(4):
            await turns.accept(prompt(1, f"thread {number}"))
        assert await turns.claim("w", HERE, LEASE)
        await database.read(built_anew)
        await other.execute('ALTER TABLE conversation ALTER thread TYPE text COLLATE "default"')
        assert await turns.claim("w", HERE, LEASE)
        await other.execute('ALTER TABLE conversation ALTER thread TYPE text COLLATE "C"')
        await database.read(built_anew)


async def test_a_reader_sees_one_moment_and_writes_nothing(store: Store, url: str) -> None:
    await store.turns.accept(prompt(1))
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look(conn: Connection) -> list[int]:
        counts = [conn.execute(text("SELECT count(*) FROM turn")).scalar_one()]
        loop.call_soon(looked.set)
        conn.execute(text("SELECT pg_sleep(0.3)"))
        return [*counts, conn.execute(text("SELECT count(*) FROM turn")).scalar_one()]

    async def change() -> None:
        await looked.wait()
        await store.turns.accept(prompt(2))

    counts, _ = await asyncio.gather(store.database.read(look), change())
    assert counts == [1, 1]
    assert await count_of(url) == 2
    with pytest.raises(StoreUnusable, match="is read only"):
        await store.database.read(inbox.accept, prompt(3), 0.0)


async def test_connections_that_the_server_ended_are_not_noticed(store: Store, url: str) -> None:
    await asyncio.gather(*(store.turns.accept(prompt(n)) for n in range(10)))
    async with connected(url) as other:
        ended = await other.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ended > 1
    asked = (store.turns.accept(prompt(n, f"thread {n}")) for n in range(10, 30))
    assert await asyncio.gather(*asked) == [True] * 20


async def test_a_server_that_was_away_a_while_is_waited_for(
    far: PostgresDatabase, way: Gateway, url: str
) -> None:
    way.cut()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreBusy, match=r"not to be reached .*: start it"):
        await far.write(inbox.accept, prompt(1), 0.0, patience=0.4)
    assert loop.time() - began < 1.5
    patient = asyncio.ensure_future(far.write(inbox.accept, prompt(1), 0.0))
    await asyncio.wait([patient], timeout=0.2)
    assert not patient.done()
    way.mend()
    assert await patient
    assert await count_of(url) == 1


async def test_a_transaction_that_lost_the_server_before_its_commit_is_run_again(
    far: PostgresDatabase, way: Gateway, url: str
) -> None:
    runs = []

    def twice(conn: Connection) -> bool:
        runs.append(1)
        way.cut_at = b"" if len(runs) > 1 else b"INSERT INTO turn"
        return inbox.accept(conn, prompt(1), 0.0)

    assert await far.write(twice)
    assert len(runs) == 2
    assert await count_of(url) == 1


@pytest.mark.parametrize("committed", [0, 1])
async def test_a_lost_commit_is_not_run_again(
    far: PostgresDatabase, way: Gateway, url: str, committed: int
) -> None:
    """Whether it was committed is not known: who called decides, knowing what it was."""
    runs = []

    def once(conn: Connection) -> bool:
        runs.append(1)
        if committed:
            way.cut_behind = b"COMMIT;"
        else:
            way.cut_at = b"COMMIT;"
        return inbox.accept(conn, prompt(1), 0.0)

    with pytest.raises(StoreBusy):
        await far.write(once)
    way.mend()
    assert len(runs) == 1
    assert await count_of(url) == committed
    assert await far.write(inbox.accept, prompt(1), 0.0) is not bool(committed)


async def test_a_server_that_says_nothing_is_not_waited_for_longer_than_agreed(
    far: PostgresDatabase, way: Gateway
) -> None:
    assert await far.write(inbox.accept, prompt(1), 0.0)
    way.stall()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreBusy, match="no answer in time"):
        await far.write(inbox.accept, prompt(2), 0.0, patience=0.3)
    assert loop.time() - began < 1.5
    way.mend()
    assert await far.write(inbox.accept, prompt(3), 0.0)


async def test_a_page_that_shows_a_conversation_is_not_kept_waiting(
    far: PostgresDatabase, way: Gateway
) -> None:
    """On a connection that died silently, as on every other."""
    turns, loop = SqlTurns(far), asyncio.get_running_loop()
    assert await turns.exchanges(THREAD, 10) == ()
    way.stall()
    began = loop.time()
    with pytest.raises(StoreBusy, match="no answer in time"):
        await turns.exchanges(THREAD, 10)
    assert loop.time() - began < INGRESS_PATIENCE + 2
    way.mend()


async def test_whoever_asks_whether_it_works_is_told_soon(
    far: PostgresDatabase, way: Gateway
) -> None:
    assert await far.problem() == ""
    way.stall()
    async with asyncio.timeout(10):
        assert "no answer in time" in await far.problem()
    way.mend()
    assert await far.problem() == ""


async def test_a_process_that_is_paused_in_a_transaction_loses_its_locks(store: Store) -> None:
    def setting(conn: Connection) -> object:
        return conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()

    assert await store.database.read(setting) == "10s"


async def test_no_error_carries_what_people_wrote(store: Store) -> None:
    def refused(conn: Connection, said: str) -> None:
        conn.execute(text("INSERT INTO turn (text) VALUES (:said)"), {"said": said})

    def not_encodable(conn: Connection, said: str) -> None:
        conn.execute(text("SELECT CAST(:said AS INTEGER)"), {"said": said})

    for fn in (refused, not_encodable):
        with pytest.raises(StoreUnusable, match="refused a statement") as refusal:
            await store.database.write(fn, SECRET)
        assert SECRET not in "".join(traceback.format_exception(refusal.value))


async def refused_at_start(url: str, kind: type[StoreError], says: str) -> str:
    with pytest.raises(kind, match=says) as refusal:
        async with PostgresDatabase.open(url, patience=0.3):
            pass
    assert "s3cret" not in "".join(traceback.format_exception(refusal.value))
    return str(refusal.value)


async def test_what_an_operator_has_to_repair_is_said_at_the_start(
    cluster: Cluster, url: str
) -> None:
    await refused_at_start(
        cluster.url("nowhere", password="s3cret"), StoreUnusable, "nowhere does not exist .*create"
    )
    await refused_at_start(
        cluster.url("migrated", "nobody", "s3cret"), StoreUnusable, "refused the user or the passw"
    )
    await refused_at_start(
        cluster.url("migrated", "guarded", "s3cret"), StoreUnusable, "refused the user or the passw"
    )
    async with PostgresDatabase.open(cluster.url("migrated", "guarded", "r1ght")) as database:
        assert "r1ght" not in f"{database.place} {vars(database)}"
    async with cluster.fresh() as empty:
        plain = empty.replace("postgres@", "plain@")
        await refused_at_start(plain, StoreUnusable, "does not give this user the rights")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://ann:s3cret@host:port/name", "not a database URL"),
        ("postgresql://ann:s3cret@host", "names no database"),
        ("postgresql://ann:s3cret@host/name?sslmode=s3cret", "is not of a form"),
    ],
)
async def test_what_is_no_url_is_refused(url: str, says: str) -> None:
    await refused_at_start(url, StoreUnusable, says)


async def test_a_server_that_is_not_there_is_busy(way: Gateway, tmp_path: Path) -> None:
    way.cut()
    there = f"postgresql://ann:s3cret@127.0.0.1:{way.port}/name"
    message = await refused_at_start(there, StoreBusy, "not to be reached")
    assert f"postgresql://ann@127.0.0.1:{way.port}/name" in message
    nowhere = f"postgresql://ann:s3cret@/name?host={tmp_path}"
    await refused_at_start(nowhere, StoreBusy, "not to be reached")


def test_without_the_library_it_is_said_how_to_get_it() -> None:
    code = (
        "import asyncio, sys; sys.modules['asyncpg'] = None\n"
        "from core.store.opening import open_database\n"
        "async def use():\n"
        "    async with open_database('postgresql://ann:s3cret@host/name'): pass\n"
        "asyncio.run(use())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "StoreUnusable" in result.stderr
    assert "pip install threadseek[postgres]" in result.stderr
    assert "s3cret" not in result.stderr
