"""Writes docs/faults.md from the fault table: `python -m tests.faults.document`."""

from tests.faults.breaking import ROOT
from tests.faults.table import FAULTS

PAGE = ROOT / "docs" / "faults.md"

_HEAD = """# Faults, and what Threadseek does then

Every row was broken on purpose: `make faults` takes the right behaviour out of a copy of the code,
row by row, and sees each test named here fail (about eight minutes; last run: all of rows 1 to 37
were noticed; 18, 28, 34 and 38 were run by themselves since). `make faults ROWS="8 27"` does so for
some. That a
row still fits the code is checked with every `make test`. This page is written from the same rows
(`tests/faults/`).

| # | fault | what Threadseek does | shown by |
|---|---|---|---|
"""


def page() -> str:
    """The whole document."""
    rows = []
    for fault in FAULTS:
        tests = dict.fromkeys(test for breakage in fault.breakages for test in breakage.tests)
        shown = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)
        rows.append(f"| {fault.number} | {fault.what} | {fault.right} | {shown} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
