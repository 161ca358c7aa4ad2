"""The stateful test of tests/core/store once more, each step a transaction on the server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Connection, text

from core.store.postgres import PostgresDatabase
from tests.contract.store.serving import Cluster
from tests.core.store.test_stateful import StoreMachine


class OnServer(StoreMachine):
    """runner, database: of the running test."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[PostgresDatabase]

    def reset(self) -> None:
        def empty(conn: Connection) -> None:
            conn.execute(text("DELETE FROM conversation"))

        self.run(empty)

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self.runner.run(self.database.write(fn, *args))


@asynccontextmanager
async def in_fresh(cluster: Cluster) -> AsyncGenerator[PostgresDatabase, None]:
    async with cluster.fresh("migrated") as url, PostgresDatabase.open(url) as database:
        yield database


def test_any_order_of_steps_on_the_server(cluster: Cluster) -> None:
    with asyncio.Runner() as runner:
        opening = in_fresh(cluster)
        OnServer.runner, OnServer.database = runner, runner.run(opening.__aenter__())
        try:
            few = settings(max_examples=10, stateful_step_count=25, deadline=None)
            run_state_machine_as_test(OnServer, settings=few)
            assert runner.run(OnServer.database.read(_fences)) >= 0
        finally:
            runner.run(opening.__aexit__(None, None, None))


def _fences(conn: Connection) -> int:
    return int(conn.execute(text("SELECT count(*) FROM conversation")).scalar_one())
