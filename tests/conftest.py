"""For every test: what one of them changes in the process, and what a busy machine is excused for.

How long it takes to make an example says nothing of the product. Simulations and measurements
switch off logs and the collecting of garbage, which other tests look at.
"""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("threadseek", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("threadseek")

# structlog would have rich draw each traceback, for a third of a second; the service has it not.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logs and the collecting of garbage are after a test as they were before it."""
    config, disabled = structlog.get_config(), logging.root.manager.disable
    thresholds = gc.get_threshold()
    yield
    structlog.configure(**config)
    logging.disable(disabled)
    gc.set_threshold(*thresholds)
