"""The stage that a case is played on."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.threads.stage import Stage
from tests.contract.threads.stages import STAGES


@pytest.fixture
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with STAGES[request.param]() as entered:
        yield entered
