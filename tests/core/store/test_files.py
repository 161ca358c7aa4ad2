"""Which file a DATABASE_URL names, and who may use it."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import StoreUnusable
from core.store.database import Database
from core.store.files import database_file
from tests.core.store.making import opened, prompt, url_of

ROOT = Path(__file__).parents[3]
HOLD = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, str(os.getpid()).encode())
print("held", flush=True)
sys.stdin.read()
"""


def test_relative_and_absolute() -> None:
    assert database_file("sqlite:///threadseek.db") == Path.cwd() / "threadseek.db"
    assert database_file("sqlite:////srv/a b/t.db") == Path("/srv/a b/t.db")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://ann:s3cret@db/threadseek", "not of a form"),
        ("postgresql+asyncpg://ann:s3cret@db/threadseek", "not of a form"),
        ("mysql://ann:s3cret@db/threadseek", "not of a form"),
        ("sqlite+aiosqlite:///t.db", "not of a form"),
        ("sqlite://srv/t.db", "not of a form"),
        ("sqlite:///t.db?mode=ro&key=s3cret", "not of a form"),
        ("sqlite:///x?s3cret.db", r"has no \? in it"),
        ("s3cret.db", "not a database URL"),
        ("", "not a database URL"),
        ("sqlite://", "outlive the process"),
        ("sqlite:///:memory:", "outlive the process"),
    ],
)
def test_other_urls_are_refused_with_what_to_do(url: str, says: str) -> None:
    with pytest.raises(StoreUnusable, match=says) as refusal:
        database_file(url)
    assert "Set DATABASE_URL to a file: sqlite:///threadseek.db" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def modes_in(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


async def test_only_the_owner_reads_what_people_wrote(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        async with opened(tmp_path / "t.db") as store:
            await store.turns.accept(prompt(1))
            modes = await asyncio.to_thread(modes_in, tmp_path)
    finally:
        os.umask(previous)
    names = {"t.db", "t.db-wal", "t.db-shm", "t.db.lock"}
    assert modes == dict.fromkeys(names, 0o600)


async def test_a_second_process_is_refused_until_the_first_dies(path: Path) -> None:
    lock = path.with_name("store.db.lock")
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-E", "-c", HOLD, str(lock)), stdin=PIPE, stdout=PIPE
    )
    try:
        assert holder.stdout
        assert await holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreUnusable, match=f"in use by process {holder.pid}: stop it"):
            async with opened(path):
                pass
        async with Database.open(url_of(path), exclusive=False):
            pass
    finally:
        holder.kill()
        await holder.communicate()
    async with opened(path) as store:
        assert await store.turns.accept(prompt(1))


async def test_a_second_database_in_one_process_is_refused(path: Path) -> None:
    async with opened(path):
        with pytest.raises(StoreUnusable, match=f"in use by process {os.getpid()}:"):
            async with opened(path):
                pass
    async with opened(path) as store:
        assert await store.turns.accept(prompt(1))


@pytest.mark.parametrize("made", [True, False])
async def test_a_symbolic_link_is_the_file_that_it_names(
    path: Path, tmp_path: Path, made: bool
) -> None:
    link = tmp_path / "release" / "store.db"
    link.parent.mkdir()
    path = path if made else tmp_path / "new.db"
    link.symlink_to(f"../{path.name}")
    async with opened(link) as store:
        with pytest.raises(StoreUnusable, match=f"{path} is in use by process {os.getpid()}:"):
            async with opened(path):
                pass
        assert await store.turns.accept(prompt(1))
    assert list(link.parent.iterdir()) == [link]
    async with opened(path) as store:
        assert not await store.turns.accept(prompt(1))


async def test_the_shared_database_works_beside_the_exclusive_one(path: Path) -> None:
    async with opened(path) as service, Database.open(url_of(path), exclusive=False) as chat:
        beside = type(service.turns)(chat, service.clock)
        assert await beside.accept(prompt(1))
        assert not await service.turns.accept(prompt(1))
        with pytest.raises(ValueError, match="sole use"):
            await beside.take_over(["slack"])


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("missing/t.db", "no directory .*missing: create it"),
        ("file/t.db", "no directory .*file: create it"),
        ("directory", "is a directory"),
        ("loop", "can't be opened for writing"),
        ("/proc/t.db", "can't be opened for writing: give this user write access"),
    ],
)
async def test_a_place_where_no_file_can_be(
    tmp_path: Path, place: str, says: str, exclusive: bool
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StoreUnusable, match=says) as refusal:
        async with Database.open(url_of(tmp_path / place), exclusive=exclusive):
            pass
    assert "DATABASE_URL to " in str(refusal.value)


def commands(heading: str) -> list[str]:
    """What docs/reliability.md gives to type under a heading."""
    section = (ROOT / "docs" / "reliability.md").read_text().partition(f"## {heading}\n")[2]
    return section.partition("```sh\n")[2].partition("```")[0].splitlines()


def type_in(line: str, folder: Path) -> None:
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_a_backup_made_and_put_back_as_the_document_says_holds_what_there_was(
    tmp_path: Path,
) -> None:
    """The process that went on after it was killed: its write-ahead log lies there still."""
    back_up, *put_back = commands("A backup of the file")
    place, live = tmp_path / "threadseek.db", tmp_path / "live"
    live.mkdir()
    async with opened(live / place.name) as store:
        await store.turns.accept(prompt(1))
        await asyncio.to_thread(type_in, back_up, live)
        for number in range(2, 50):
            await store.turns.accept(prompt(number, f"thread {number}"))
        for name in ("threadseek.db", "threadseek.db-wal", "threadseek.copy.db"):
            shutil.copy(live / name, tmp_path)
    for line in put_back:
        await asyncio.to_thread(type_in, line, tmp_path)
    with closing(sqlite3.connect(place)) as other:
        assert list(other.execute("PRAGMA integrity_check")) == [("ok",)]
    async with opened(place) as store:
        assert not await store.turns.accept(prompt(1))
        assert await store.turns.accept(prompt(2, "thread 2")), "which is not in the backup"


async def test_who_is_told_to_put_a_backup_back_is_told_what_has_to_go_before(
    tmp_path: Path, path: Path
) -> None:
    text = tmp_path / "text.db"
    text.write_text("no database" * 100)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    for file in (text, path):
        says = rf"remove `{file.name}-wal` and `{file.name}-shm`, then copy a backup"
        with pytest.raises(StoreUnusable, match=says):
            async with opened(file):
                pass
