"""The migrations make the schema, keep what people have, and refuse what they do not know."""

import asyncio
import fcntl
import logging
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from core.errors import StoreBusy, StoreUnusable
from core.lifecycle import State
from core.store.database import Database
from core.store.files import InUse, sole_use
from core.store.migrate import SCRIPTS, config, migrate, migrate_file, stored_revision
from core.store.schema import REVISION, filter_on_postgres, metadata, turn
from tests.core.store.making import SPOKEN, no_file_beyond, opened

NEXT = '''"""Something that comes after."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{revision}"


def upgrade() -> None:
    with op.batch_alter_table("conversation") as batch:
        batch.add_column(sa.Column("colour", sa.Text))
    with op.batch_alter_table("conversation", recreate="always") as batch:
        batch.alter_column("colour", new_column_name="shade")
    {then}
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "t.db"


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    engine = create_engine(url_of(path), poolclass=NullPool, connect_args={"isolation_level": None})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.begin() as connection:
        yield connection


def scripts_with_next(directory: Path, then: str = "") -> Path:
    """Our migrations and one more."""
    scripts = Path(shutil.copytree(SCRIPTS, directory / "scripts"))
    script = NEXT.format(revision=REVISION, then=then)
    (scripts / "versions" / "next.py").write_text(script)
    return scripts


def make_first(path: Path) -> None:
    """A file as the first version made it."""
    migrate_file(path, locked=False, head="0001")


def put_turn(path: Path) -> None:
    """An open turn of the first conversation, as the first version wrote it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO turn (conversation_id, identity, sequence, author, text, address, files,"
            " follow_up, asked_at, state, attempts, reason, received_at)"
            " VALUES (1, 'i1', 's1', 'Ann', 'hello', '{}', '[]', 0, 1.0, 'received', 0, '', 1.0)"
        )


def put_conversation(path: Path, *, count: int = 1) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO conversation (platform, thread, fence, start, ratio, told, speaker,"
            " several, fresh, created_at) VALUES ('slack', ?, 0, 0, 1.0, 0, '', 0, 1, 1.0)",
            [(f"thread {n}",) for n in range(count)],
        )
        connection.execute(
            "INSERT INTO message (conversation_id, position, role, author, content, identity)"
            " VALUES (1, 0, 'user', 'Ann', 'hello', '')"
        )


def contents(path: Path) -> tuple[int, int]:
    """How many conversations and messages."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT (SELECT count(*) FROM conversation), (SELECT count(*) FROM message)"
        conversations, messages = connection.execute(query).fetchone()
    return conversations, messages


def test_a_new_file_gets_the_schema_and_no_backup(path: Path) -> None:
    migrate(url_of(path))
    assert stored_revision(path) == REVISION
    with connected(path) as connection:
        assert set(inspect(connection).get_table_names()) == {
            *metadata.tables,
            "alembic_version",
        }
    assert sorted(file.name for file in path.parent.iterdir()) == ["t.db", "t.db.lock"]


def test_the_migrations_and_the_schema_do_not_drift(path: Path, tmp_path: Path) -> None:
    make_first(path)
    migrate(url_of(path))
    with connected(path) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    # What alembic does not compare: checks, clustering, autoincrement, predicates of indexes.
    made = tmp_path / "made.db"
    migrate(url_of(made))
    assert definitions(path) == definitions(made)


def definitions(path: Path) -> dict[str, set[str]]:
    """Table or index -> its parts, in any order."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).fetchall()
    # What a table was made with has a line each, a column that came later only its comma; a table
    # that was made again under another name is quoted.
    return {
        name: {
            line.strip(" ,\t")
            for line in re.split(
                r"\n|, (?=\w+ [A-Z]+(?: DEFAULT|, ))", sql.replace(f'"{name}"', name)
            )
        }
        for name, sql in rows
    }


def test_the_revision_in_the_code_is_the_newest_script(path: Path) -> None:
    with connected(path) as connection:
        assert ScriptDirectory.from_config(config(connection)).get_heads() == [REVISION]


def test_one_step_down_is_the_first_version_again(path: Path, tmp_path: Path) -> None:
    migrate(url_of(path))
    put_conversation(path)
    with connected(path) as connection:
        command.downgrade(config(connection), "0001")
    first = tmp_path / "first.db"
    make_first(first)
    assert definitions(path) == definitions(first)
    assert contents(path) == (1, 1)


def test_down_to_nothing_and_up_again(path: Path) -> None:
    migrate(url_of(path))
    with connected(path) as connection:
        command.downgrade(config(connection), "base")
    with connected(path) as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(url_of(path))
    with connected(path) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_older_file_is_backed_up_and_upgraded_with_all_it_holds(
    path: Path, tmp_path: Path
) -> None:
    make_first(path)
    put_conversation(path, count=3)
    migrate(url_of(path))
    first = path.with_name("t.db.0001.backup")
    assert stored_revision(path) == REVISION
    assert stored_revision(first) == "0001"
    migrate_file(path, locked=False, scripts=scripts_with_next(tmp_path), head="next")
    second = path.with_name(f"t.db.{REVISION}.backup")
    assert stored_revision(path) == "next"
    assert stored_revision(second) == REVISION
    assert contents(path) == contents(first) == contents(second) == (3, 1)
    assert {backup.stat().st_mode & 0o777 for backup in (first, second)} == {0o600}


async def test_a_service_goes_on_with_what_the_first_version_left_open(path: Path) -> None:
    make_first(path)
    put_conversation(path)
    put_turn(path)
    async with opened(path) as store:
        claimed = await store.claim()
        assert (claimed.prompt.identity, claimed.prompt.late) == ("i1", False)
        await store.say(claimed)
        await store.turns.finish(claimed, State.SETTLED)
        kept = await store.history.load(claimed.prompt.thread)
        assert [entry.content for entry in kept.messages] == [
            "hello",
            *(entry.content for entry in SPOKEN),
        ]


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, tmp_path: Path) -> None:
    make_first(path)
    put_conversation(path)
    before = definitions(path)
    scripts = scripts_with_next(tmp_path, then='op.execute("SELECT 1 FROM nowhere")')
    with pytest.raises(StoreUnusable, match="nowhere"):
        migrate_file(path, locked=False, scripts=scripts, head="next")
    assert stored_revision(path) == "0001", "not even the step before the one that failed"
    assert contents(path) == (1, 1)
    assert definitions(path) == before


def test_a_migration_that_the_disk_has_no_room_for_says_that_and_no_later_error(path: Path) -> None:
    """SQLite undid it all by then, and alembic's tidying up found nothing to remove."""
    make_first(path)
    put_conversation(path)
    put_turn(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE turn SET text = ?", ("x" * 8 * 2**20,))
    room = no_file_beyond(path.stat().st_size + 2**20)
    with room, pytest.raises(StoreUnusable, match="the disk fails: check it"):
        migrate(url_of(path))
    assert stored_revision(path) == "0001"
    migrate(url_of(path))


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    migrate(url_of(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=f"schema 9999 .* none after {REVISION}: run the newer"):
        asyncio.run(use(path))
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["t.db", "t.db.lock"]


def test_the_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="tables of another program: set DATABASE_URL"):
        asyncio.run(use(path))
    assert path.read_bytes() == before


async def use(path: Path) -> None:
    async with Database.open(url_of(path)):
        pass


def test_many_migrate_at_once(path: Path) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(url_of(path))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stored_revision(path) == REVISION


def test_a_file_in_use_is_not_migrated_but_a_current_one_needs_no_lock(
    path: Path, tmp_path: Path
) -> None:
    make_first(path)
    current = tmp_path / "current.db"
    migrate(url_of(current))
    with (
        path.with_name("t.db.lock").open("r+") as lock,
        current.with_name("current.db.lock").open("r+") as other,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        migrate(url_of(current))
        with pytest.raises(StoreUnusable, match="in use by process"):
            migrate_file(path, locked=False, patience=0.1)
    assert stored_revision(path) == "0001"


async def test_a_start_that_is_stopped_lets_go_of_the_file_when_the_migration_has_ended(
    path: Path,
) -> None:
    make_first(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        starting = asyncio.ensure_future(use(path))
        await asyncio.wait([starting], timeout=0.5)
        starting.cancel()
        await asyncio.wait([starting], timeout=0.5)
        with pytest.raises(InUse), sole_use(path):
            pass
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert stored_revision(path) == REVISION


def test_a_locked_file_is_busy(path: Path) -> None:
    make_first(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match="stayed locked"):
            migrate_file(path, locked=False, patience=0.1)
    assert stored_revision(path) == "0001"


def test_alembic_leaves_logging_alone(path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    ours = logging.getLogger("threadseek.test")
    make_first(path)
    migrate(url_of(path))
    assert (root.level, list(root.handlers)) == before
    assert not ours.disabled


def test_what_is_not_needed_is_not_imported(path: Path) -> None:
    """Alembic is for an upgrade alone, and a file's database needs no PostgreSQL."""
    code = (
        "import sys; from core.store import sql; from core.store.migrate import migrate;"
        "migrate(sys.argv[1]);"
        "assert 'alembic' not in sys.modules, 'alembic was imported';"
        "assert 'sqlalchemy.dialects.postgresql' not in sys.modules, 'PostgreSQL was imported'"
    )
    command_line = [sys.executable, "-c", code, url_of(path)]
    result = subprocess.run(
        command_line, cwd=SCRIPTS.parent, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_schema_fits_postgresql_too() -> None:
    """The same tables compile for the engine of more than one machine."""
    filter_on_postgres()
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in turn.indexes]
    assert any('sequence TEXT COLLATE "C"' in table for table in tables)
    assert (
        sorted("WHERE settled_at IS NULL" in index for index in indexes) == [False] * 3 + [True] * 2
    )
    assert any("WHERE settled_at IS NOT NULL AND erased IS false" in index for index in indexes)
    assert any("late BOOLEAN DEFAULT false NOT NULL" in table for table in tables)
