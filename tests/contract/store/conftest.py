"""An open store on PostgreSQL for each test: one server, an empty database each."""

from collections.abc import AsyncGenerator, Generator

import pytest

from core.store.postgres import PostgresDatabase
from tests.contract.store.gateway import Gateway, gateway
from tests.contract.store.serving import USED_AGAIN, Cluster, opened_there, serving
from tests.core.store.making import Opening, Store


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster, None, None]:
    """The server of all tests."""
    with serving() as running:
        yield running


@pytest.fixture
async def url(cluster: Cluster) -> str:
    """A migrated database, emptied: quicker than a new one. Tests leave its schema alone."""
    await cluster.empty(USED_AGAIN)
    return cluster.url(USED_AGAIN)


@pytest.fixture
async def own(cluster: Cluster) -> AsyncGenerator[str, None]:
    """A migrated, empty database of one test alone."""
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


@pytest.fixture
async def way(cluster: Cluster) -> AsyncGenerator[Gateway, None]:
    """The way to the server."""
    async with gateway(cluster.directory) as made:
        yield made


@pytest.fixture
def far_url(way: Gateway, url: str) -> str:
    """Where the test's database is, behind the gateway."""
    name = url.partition("@/")[2].partition("?")[0]
    return f"postgresql://postgres@127.0.0.1:{way.port}/{name}"


@pytest.fixture
async def far(way: Gateway, far_url: str) -> AsyncGenerator[PostgresDatabase, None]:
    """The test's database, behind the gateway."""
    async with PostgresDatabase.open(far_url) as database:
        yield database
        way.mend()
