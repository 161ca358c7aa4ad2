"""The fault table is whole, its breakages fit the code, and the document says the same."""

import re

import pytest

from tests.faults.breaking import ROOT, Breakage, Fault, unnoticed
from tests.faults.document import PAGE, page
from tests.faults.table import FAULTS

QUICK = (6, 10, 30)
"""Rows that are also broken here; `make faults` breaks all."""


def test_every_row_is_there() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, 39))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_a_row_fits_the_code(fault: Fault) -> None:
    assert fault.breakages
    for breakage in fault.breakages:
        assert (ROOT / breakage.file).read_text().count(breakage.old) == 1, breakage
        assert breakage.tests
        for test in breakage.tests:
            file, *names = test.split("::")
            source = (ROOT / file).read_text()
            assert all(re.search(rf"^(async )?def {name}\(", source, re.M) for name in names), test


@pytest.mark.parametrize("number", QUICK)
def test_a_behaviour_taken_out_is_noticed(number: int) -> None:
    (fault,) = (fault for fault in FAULTS if fault.number == number)
    assert [line for breakage in fault.breakages for line in unnoticed(breakage)] == []


def test_a_breakage_that_breaks_nothing_is_not_taken_for_noticed() -> None:
    harmless = Breakage(
        "core/lifecycle.py",
        '"""The life of a turn',
        '"""A life of a turn',
        ("tests/core/turns/test_own_lease.py",),
    )
    assert len(unnoticed(harmless)) == 1


def test_the_document_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.faults.document`"
