"""Small real disks for a database's folder. Only root can mount one; others skip."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.service import Service

_BLOCK = 64 * 1024  # bytes


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A folder that is a disk of its own, in memory. Skips where none can be mounted."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))
    with _mounted(folder):
        yield folder


@contextmanager
def breakable_disk(folder: Path) -> Iterator[Path]:
    """A folder on a disk that `turn_read_only` works on. Skips where none can be mounted."""
    folder.mkdir()
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    make = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if make is None:
        pytest.skip("no mkfs.ext4 on this machine: install the package `e2fsprogs`")
    made = subprocess.run([make, "-q", str(image)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk can be made: {made.stderr.decode()}")
    _mount("-o", "loop", str(image), str(folder))
    with _mounted(folder):
        yield folder


def turn_read_only(folder: Path) -> None:
    """What the system does to a disk with errors, with the files open as they are."""
    _mount("-o", "remount,abort", str(folder))


def fill(folder: Path, leave: int = 0) -> Path:
    """Write until the disk is full, or has `leave` bytes left; returns the file that fills it."""
    path = folder / "filling"
    with path.open("ab", buffering=0) as file:
        while not leave or _free(folder) > leave:
            try:
                file.write(b"x" * _BLOCK)
            except OSError:
                break
    return path


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no disk can be mounted here: there is no `mount`")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def state_of(service: Service) -> tuple[int, dict[str, str]]:
    """What /readyz answers: the status, and each part."""
    async with (
        aiohttp.ClientSession(service.address) as session,
        session.get("/readyz") as answer,
    ):
        return answer.status, json.loads(await answer.text())["parts"]


async def becomes(service: Service, part: str, text: str, within: float = 40.0) -> None:
    """Wait until /readyz says this of a part: 200 when that is "ok", else 503."""
    said: object = None
    try:
        async with asyncio.timeout(within):
            while True:
                said = status, parts = await state_of(service)
                if text in parts[part] and status == (200 if text == "ok" else 503):
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"it says {said}, not {text!r}") from None
