"""What schedules change for speed in this Python process is changed back after each test."""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logs and the collecting of garbage, as other tests expect them."""
    config, disabled, thresholds = (
        structlog.get_config(),
        logging.root.manager.disable,
        gc.get_threshold(),
    )
    yield
    structlog.configure(**config)
    logging.disable(disabled)
    gc.set_threshold(*thresholds)
