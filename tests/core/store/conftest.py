"""An open store for each test; the empty, migrated file is made once."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from core.store.migrate import migrate
from tests.core.store.making import Opening, Store, opened, url_of


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that nobody opens."""
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    migrate(url_of(path))
    return path


@pytest.fixture
def path(tmp_path: Path, migrated: Path) -> Path:
    """A migrated, empty database file."""
    return Path(shutil.copy(migrated, tmp_path / "store.db"))


@pytest.fixture
def opening(path: Path) -> Opening:
    """Opens this test's store, as often as it wants."""
    return lambda: opened(path)


@pytest.fixture
async def store(opening: Opening) -> AsyncGenerator[Store, None]:
    """An open store."""
    async with opening() as made:
        yield made
