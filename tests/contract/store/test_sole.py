"""One process has a name of the database for itself, and asks for it with bounded patience."""

import asyncio

import pytest

from core.errors import StoreBusy
from core.store.files import InUse
from core.store.postgres import PostgresDatabase
from tests.contract.store.gateway import gateway
from tests.contract.store.serving import Cluster, connected, until

_LOCK = b"pg_try_advisory_lock"
_CONNECTED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()"
)


async def test_a_name_is_had_by_one_until_it_is_let_go_of(url: str) -> None:
    async with PostgresDatabase.open(url) as one, PostgresDatabase.open(url) as other:
        async with one.sole("chat"):
            with pytest.raises(InUse, match="chat"):
                async with other.sole("chat"):
                    pass
            async with other.sole("another"):
                pass
        async with asyncio.timeout(5):  # the server may take a moment to see that it is gone
            while True:
                try:
                    async with other.sole("chat"):
                        break
                except InUse:
                    await asyncio.sleep(0.01)


async def test_a_server_that_says_nothing_of_a_name_is_not_waited_for_nor_kept(
    cluster: Cluster, own: str
) -> None:
    name = own.partition("@/")[2].partition("?")[0]
    async with gateway(cluster.directory) as way, connected(own) as other:
        far = f"postgresql://postgres@127.0.0.1:{way.port}/{name}"
        async with PostgresDatabase.open(far) as database:
            before = await other.fetchval(_CONNECTED)
            way.stall_at = _LOCK
            with pytest.raises(StoreBusy, match="no answer in time") as refused:
                async with asyncio.timeout(10), database.sole("chat"):
                    pass

            async def left() -> bool:
                return bool(await other.fetchval(_CONNECTED) == before)

            way.mend()
            assert await until(left), refused
            async with database.sole("chat"):
                pass
