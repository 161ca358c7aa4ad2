"""Statements go to asyncpg itself: the same transactions, the same errors, the same values."""

import asyncio
import traceback

import pytest
from sqlalchemy import Connection, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from core.errors import StoreBusy, StoreUnusable
from core.store import history, inbox
from core.store.schema import conversation, message
from core.store.server import Server
from core.store.statements import Statement, one_statement, stands_alone
from tests.contract.store.serving import connected
from tests.core.store.making import THREAD, Store, prompt

SECRET = "what Ann wrote to nobody else"

TOUCH = Statement(
    update(conversation)
    .where(conversation.c.thread == bindparam("of"))
    .values(told=~conversation.c.told)
)
WAIT = Statement(select(func.pg_sleep(bindparam("seconds"))))
WHOM = Statement(select(func.pg_backend_pid().label("pid")))


def pid(conn: Connection) -> int:
    """Whom the connection talks to."""
    row = WHOM.first(conn, {})
    assert row
    return int(row.pid)


async def test_a_deadlock_of_them_is_tried_again(store: Store) -> None:
    for thread in ("a", "b"):
        await store.turns.accept(prompt(1, thread))
    runs = []

    def cross(conn: Connection, first: str, second: str) -> None:
        runs.append(first)
        assert TOUCH.count(conn, {"of": first}) == 1
        if len(runs) <= 2:
            WAIT.rows(conn, {"seconds": 0.2})
        TOUCH.count(conn, {"of": second})

    await asyncio.gather(
        store.database.write(cross, "a", "b"), store.database.write(cross, "b", "a")
    )
    assert len(runs) == 3, "one of the two was undone and run again"


async def test_both_ways_to_run_one_are_in_the_same_transaction(store: Store) -> None:
    await store.turns.accept(prompt(1))

    def mixed(conn: Connection, fail: bool) -> int:
        TOUCH.count(conn, {"of": THREAD})
        conn.execute(text("UPDATE conversation SET start = start + 1"))
        assert inbox.accept(conn, prompt(2), 0.0)
        if fail:
            raise LookupError("in the middle")
        return int(conn.execute(text("SELECT start FROM conversation")).scalar_one())

    with pytest.raises(LookupError):
        await store.database.write(mixed, True)
    assert await store.turns.waiting(THREAD) == 1
    assert await store.database.write(mixed, False) == 1
    assert await store.turns.waiting(THREAD) == 2


async def test_none_runs_outside_of_a_transaction(store: Store, url: str) -> None:
    await store.turns.accept(prompt(1))
    engine = create_async_engine("postgresql+asyncpg://", async_creator=Server.of(url).connect)
    async with engine.connect() as connection:
        with pytest.raises(RuntimeError, match="no transaction"):
            await connection.run_sync(TOUCH.count, {"of": THREAD})
    await engine.dispose()
    async with connected(url) as other:
        assert await other.fetchval("SELECT told FROM conversation") is False


async def test_a_reader_of_one_statement_begins_nothing_and_makes_no_second(store: Store) -> None:
    isolation = Statement(select(func.current_setting("transaction_isolation").label("level")))

    def usual(conn: Connection) -> list[str]:
        return [isolation.rows(conn, {})[0].level for _ in range(2)]

    @one_statement
    def single(conn: Connection) -> str:
        return str(isolation.rows(conn, {})[0].level)

    @one_statement
    def twice(conn: Connection) -> list[str]:
        return usual(conn)

    first = await store.database.read(pid)
    assert await store.database.read(single) == "read committed", "the server's own"
    with pytest.raises(RuntimeError, match="no transaction"):
        await store.database.read(twice)
    assert await store.database.read(usual) == ["repeatable read"] * 2
    with pytest.raises(RuntimeError, match="no transaction"):
        await store.database.read(twice)
    assert await store.database.write(single) == "read committed"
    assert await store.database.read(pid) == first, "on one connection, all of it"


async def test_a_window_is_read_without_a_transaction(store: Store) -> None:
    for read in (history.load, inbox.waiting):
        assert stands_alone(read)
        await store.database.read(read, THREAD)  # or RuntimeError for a second statement
    assert not stands_alone(inbox.accept)


async def test_no_error_of_one_carries_what_people_wrote(store: Store) -> None:
    number = Statement(select(conversation.c.id).where(conversation.c.id == bindparam("of")))
    columns: dict[str, object] = {c.name: bindparam(f"its_{c.name}") for c in message.c}
    said = {f"its_{column.name}": None for column in message.c} | {
        "its_content": SECRET,
        "its_position": 1,
    }

    def not_encodable(conn: Connection) -> None:
        number.rows(conn, {"of": SECRET})

    def refused(conn: Connection) -> None:
        Statement(insert(message).values(columns)).each(conn, [said])

    for fn in (not_encodable, refused):
        with pytest.raises(StoreUnusable, match="refused a statement") as refusal:
            await store.database.write(fn)
        assert SECRET not in "".join(traceback.format_exception(refusal.value))


async def test_a_connection_outlives_an_error_but_not_a_statement_that_was_given_up(
    store: Store,
) -> None:
    def fails(conn: Connection) -> None:
        TOUCH.count(conn, {"of": THREAD})
        raise LookupError("in the middle")

    def slow(conn: Connection) -> None:
        WAIT.rows(conn, {"seconds": 5.0})

    first = await store.database.read(pid)
    with pytest.raises(LookupError):
        await store.database.write(fails)
    assert await store.database.write(pid) == first
    with pytest.raises(StoreBusy, match="no answer in time"):
        await store.database.write(slow, patience=0.1)
    assert await store.database.write(pid) != first


async def test_connections_that_ended_unused_cost_no_patience(store: Store, url: str) -> None:
    """Ten of them, each found out by a try and the pause behind it, would take ten seconds."""
    await asyncio.gather(*(store.database.write(WAIT.rows, {"seconds": 0.2}) for _ in range(10)))
    async with connected(url) as other:
        ended = await other.fetchval(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ended >= 10
    await asyncio.sleep(0.1)  # until all of them have learnt it
    assert await store.database.write(inbox.accept, prompt(1), 0.0, patience=1.0)
