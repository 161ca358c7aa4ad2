"""Words that are too old, in SQLite's file: no trace of them, no room for them, no long search."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, text

from core.store import retention
from core.store.retention import Erased
from core.store.schema import message, turn
from core.store.statements import Statement
from core.types import Remembered, Role
from tests.core.store.making import Store, plan_of, settle_many
from tests.core.store.test_retention import AGE, erase, settle


async def test_no_file_holds_what_was_erased(path: Path, store: Store) -> None:
    def telling() -> list[str]:
        return [file.name for file in path.parent.iterdir() if b"canary" in file.read_bytes()]

    long = "the canary sings at noon " * 400  # more than a page
    for number in range(3):
        await settle(store, number, Remembered(Role.USER, long, "canary"), text=long)
    assert telling()
    store.clock.now += AGE
    await erase(store)
    assert not telling(), "the write-ahead log neither"


async def test_the_room_that_words_took_is_free_for_others(store: Store) -> None:
    """SQLite keeps a page for a row that gets smaller, so that the file would grow for ever."""

    def used(conn: Connection) -> int:
        pages, free = (
            conn.execute(text(f"PRAGMA {what}")).scalar_one()
            for what in ("page_count", "freelist_count")
        )
        return int(pages - free)

    empty = await store.database.read(used)
    for number in range(100):
        await settle(store, number, text="x" * 3_000)
    full = await store.database.read(used)
    store.clock.now += AGE
    await erase(store)
    assert await store.database.read(used) - empty < (full - empty) / 5


async def test_what_is_to_be_erased_is_found_by_index_among_ten_thousand(store: Store) -> None:
    def done(conn: Connection) -> None:
        settle_many(conn, 10_000)
        conn.execute(turn.update().where(turn.c.id <= 9_000).values(erased=True))

    await store.database.write(done)
    query: Any = retention._expired(False).core.params(now=9_500.0, age=100.0)
    plan = await store.database.read(plan_of, query)
    assert plan == ["SEARCH turn USING INDEX ix_turn_with_words (settled_at>? AND settled_at<?)"]


async def test_one_turn_of_a_long_conversation_costs_no_more_than_of_a_short_one(
    store: Store,
) -> None:
    """None of its entries is looked at but those that go, and the first one that stays."""

    def talked(conn: Connection) -> None:
        settle_many(conn, 10)
        entry = {"role": "user", "author": "", "identity": "", "conversation_id": 1}
        conn.execute(
            insert(message),
            [entry | {"position": n, "content": "x" * 2_000, "turn_id": None} for n in range(5)]
            + [entry | {"position": 5 + n, "content": "x", "turn_id": n + 1} for n in range(10)],
        )

    def plans(conn: Connection) -> list[str]:
        which = {"of": 1, "here": 1}
        steps: list[str] = []
        for statement in (retention._ENTRIES, retention._ADOPTED, retention._CONVERSATION):
            steps += _plan(conn, statement, which)
        return steps

    await store.database.write(talked)
    steps = await store.database.read(plans)
    assert not [step for step in steps if step.startswith("SCAN")]
    assert (await store.database.write(retention.erase, 0.0, 0.0, 1.0)) == Erased(1, 6)
    assert await store.database.read(_positions) == list(range(6, 15))


def _plan(conn: Connection, statement: Statement, values: dict[str, int]) -> list[str]:
    driver: Any = conn.connection.dbapi_connection
    compiled = statement._on_sqlite
    found = driver.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.bound(values))
    return [row[3] for row in found]


def _positions(conn: Connection) -> list[int]:
    return list(conn.execute(select(message.c.position).order_by(message.c.position)).scalars())
