"""An open store on PostgreSQL for each test: one server, a copy of the migrated database each."""

from collections.abc import AsyncGenerator, Generator

import pytest

from tests.contract.store.serving import Cluster, opened_there, serving
from tests.core.store.making import Opening, Store


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster, None, None]:
    """The server of all tests."""
    with serving() as running:
        yield running


@pytest.fixture
async def url(cluster: Cluster) -> AsyncGenerator[str, None]:
    """A migrated, empty database."""
    async with cluster.fresh("migrated") as made:
        yield made


@pytest.fixture
def opening(url: str) -> Opening:
    """Opens this test's store, as often as it wants."""
    return lambda: opened_there(url)


@pytest.fixture
async def store(opening: Opening) -> AsyncGenerator[Store, None]:
    """An open store."""
    async with opening() as made:
        yield made
