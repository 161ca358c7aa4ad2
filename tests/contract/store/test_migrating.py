"""On a server too: the migrations make the schema, once, and refuse what they do not know."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from structlog.testing import capture_logs

from core.errors import StoreUnusable
from core.store.migrate import SCRIPTS, config
from core.store.postgres import PostgresDatabase
from core.store.postgres_migrate import LOCK, migrate_server
from core.store.schema import REVISION, metadata
from core.store.server import Server
from core.store.sql import INGRESS_PATIENCE
from tests.contract.store.gateway import Gateway
from tests.contract.store.serving import Cluster, connected, until

_COLUMNS = """
SELECT table_name || '.' || column_name, data_type, is_nullable, column_default, is_identity,
    identity_generation, collation_name
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_CONSTRAINTS = """
SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
NEXT = f'''"""Something that comes after."""

from alembic import op

revision = "next"
down_revision = "{REVISION}"


def upgrade() -> None:
    op.execute("SELECT pg_sleep(0.1)")
    op.execute("CREATE TABLE IF NOT EXISTS ran (at timestamptz DEFAULT now())")
    op.execute("INSERT INTO ran DEFAULT VALUES")
'''


@pytest.fixture
async def empty(cluster: Cluster) -> AsyncGenerator[str, None]:
    """A database without tables."""
    async with cluster.fresh() as made:
        yield made


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Our migrations and one more."""
    scripts = Path(shutil.copytree(SCRIPTS, tmp_path / "scripts"))
    (scripts / "versions" / "next.py").write_text(NEXT)
    return scripts


def engine_of(url: str) -> AsyncEngine:
    return create_async_engine("postgresql+asyncpg://", async_creator=Server.of(url).connect)


async def shape(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the database is made of, without what alembic keeps."""
    async with connected(url) as other:
        return {
            query: sorted(
                tuple(map(str, row))
                for row in await other.fetch(query)
                if "alembic" not in str(row)
            )
            for query in (_COLUMNS, _INDEXES, _CONSTRAINTS)
        }


async def test_the_migrations_and_the_schema_do_not_drift(empty: str, cluster: Cluster) -> None:
    def differences(conn: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(conn), metadata)

    async with PostgresDatabase.open(empty) as database:
        assert await database.read(differences) == []
    async with cluster.fresh() as made:
        engine = engine_of(made)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()
        assert await shape(empty) == await shape(made)


async def test_the_types_are_those_that_were_meant(empty: str) -> None:
    async with PostgresDatabase.open(empty):
        columns = {name: rest for name, *rest in (await shape(empty))[_COLUMNS]}
    kinds = {kind for kind, *_ in columns.values()}
    assert kinds == {"bigint", "integer", "text", "double precision", "boolean", "json"}
    sorted_ones = {name for name, rest in columns.items() if rest[-1] == "C"}
    assert sorted_ones == {"turn.sequence", "conversation.thread"}
    identities = {name for name, rest in columns.items() if "BY DEFAULT" in rest}
    assert identities == {"conversation.id", "turn.id"}


async def test_an_id_is_never_given_out_again(own: str) -> None:
    async with connected(own) as other:
        insert = (
            "INSERT INTO conversation (platform, thread, fence, start, ratio, told, speaker,"
            " several, fresh, created_at) VALUES ('slack', 't', 0, 0, 1, false, '', false, true, 1)"
            " RETURNING id"
        )
        first = await other.fetchval(insert)
        await other.execute("DELETE FROM conversation")
        assert await other.fetchval(insert) > first


async def test_down_to_nothing_and_up_again(empty: str) -> None:
    def down(conn: Connection) -> None:
        command.downgrade(config(conn), "base")

    async with PostgresDatabase.open(empty) as database:
        before = await shape(empty)
        await database.write(down)
        assert (await shape(empty))[_COLUMNS] == []
    async with PostgresDatabase.open(empty):
        assert await shape(empty) == before


async def test_eight_that_start_at_once_migrate_once(empty: str, newer: Path) -> None:
    async with PostgresDatabase.open(empty):
        pass
    engines = [engine_of(empty) for _ in range(8)]
    await asyncio.gather(
        *(
            migrate_server(engine, "here", patience=5, scripts=newer, head="next")
            for engine in engines
        )
    )
    async with connected(empty) as other:
        assert await other.fetchval("SELECT count(*) FROM ran") == 1
    for engine in engines:
        await engine.dispose()


async def test_eight_that_start_on_an_empty_database(empty: str) -> None:
    async def start() -> None:
        async with PostgresDatabase.open(empty):
            pass

    await asyncio.gather(*(start() for _ in range(8)))
    async with connected(empty) as other:
        assert await other.fetch("SELECT * FROM alembic_version") == [(REVISION,)]


async def test_a_migration_that_fails_leaves_the_database_as_it_was(own: str, newer: Path) -> None:
    script = newer / "versions" / "next.py"
    script.write_text(script.read_text() + '    op.execute("SELECT 1 FROM nowhere")\n')
    before = await shape(own)
    engine = engine_of(own)
    with pytest.raises(StoreUnusable, match="nowhere"):
        await migrate_server(engine, "here", patience=5, scripts=newer, head="next")
    await engine.dispose()
    assert await shape(own) == before


async def test_a_newer_database_is_refused_and_left_alone(own: str) -> None:
    async with connected(own) as other:
        await other.execute("UPDATE alembic_version SET version_num = '9999'")
    before = await shape(own)
    with pytest.raises(StoreUnusable, match=f"schema 9999 .* none after {REVISION}: run the newer"):
        async with PostgresDatabase.open(own):
            pass
    assert await shape(own) == before


async def test_the_database_of_another_program_is_refused_and_left_alone(empty: str) -> None:
    async with connected(empty) as other:
        await other.execute("CREATE TABLE recipes (name TEXT)")
    before = await shape(empty)
    with pytest.raises(StoreUnusable, match="tables of another program: set DATABASE_URL"):
        async with PostgresDatabase.open(empty):
            pass
    assert await shape(empty) == before


TAKES_A_TABLE = NEXT.replace('"SELECT pg_sleep(0.1)"', '"ALTER TABLE turn ADD COLUMN colour TEXT"')


async def read_again_and_again(url: str, seconds: float) -> None:
    """Raises: TimeoutError, as soon as one reading of `turn` takes too long for an event."""
    clock = asyncio.get_running_loop().time
    async with connected(url) as other:
        end = clock() + seconds
        while clock() < end:
            await other.fetchval("SELECT count(*) FROM turn", timeout=INGRESS_PATIENCE)
            await asyncio.sleep(0.01)


async def test_a_migration_waits_for_who_reads_a_table_and_nobody_waits_for_it(
    own: str, newer: Path
) -> None:
    """A pg_dump has every table until it ends; whoever asks for one behind an ALTER waits too."""
    (newer / "versions" / "next.py").write_text(TAKES_A_TABLE)
    engine = engine_of(own)
    with capture_logs() as logs:
        async with connected(own) as dump:
            await dump.execute("SET application_name = 'pg_dump'")
            transaction = dump.transaction()
            await transaction.start()
            await dump.fetchval("SELECT count(*) FROM turn")
            migrating = asyncio.ensure_future(
                migrate_server(engine, "here", patience=5, scripts=newer, head="next")
            )
            await read_again_and_again(own, 8)
            assert not migrating.done()
            assert len(logs) == 1, "it says so once"
            await transaction.rollback()
        async with asyncio.timeout(10):
            await migrating
    await engine.dispose()
    waiting, migrated = logs
    assert (waiting["event"], waiting["log_level"]) == ("database.waiting", "warning")
    assert waiting["holder"].startswith("pg_dump (process ")
    assert migrated["event"] == "database.migrated"


@pytest.mark.parametrize("silent", [False, True])
async def test_who_waits_for_another_that_migrates_says_so_and_can_be_stopped(
    silent: bool, way: Gateway, far_url: str, url: str, newer: Path
) -> None:
    engine = engine_of(far_url)
    async with connected(url) as other, other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        with capture_logs() as logs:
            migrating = asyncio.ensure_future(
                migrate_server(engine, "here", patience=5, scripts=newer, head="next")
            )
            await until(lambda: other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        if silent:
            way.stall()
        migrating.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.wait([migrating])
        assert asyncio.get_running_loop().time() - began < 4
    assert migrating.cancelled()
    assert [(line["event"], line["holder"]) for line in logs] == [
        ("database.waiting", "another replica, which migrates it")
    ]
