"""The budgets of the house: small files, small functions, every one of them annotated."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("bots", "core", "adapters", "migrations", "tests", "benchmarks")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
USUAL_LINES_OF_A_FUNCTION = 40


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES_OF_A_FILE
    long = [name for name, lines in functions(path) if lines > MOST_LINES_OF_A_FUNCTION]
    assert not long


def test_nearly_all_functions_are_short() -> None:
    sizes = [lines for path in FILES for _, lines in functions(path)]
    short = sum(lines <= USUAL_LINES_OF_A_FUNCTION for lines in sizes)
    assert len(sizes) > 300
    assert short / len(sizes) >= 0.95


def test_no_folder_of_tests_pretends_to_be_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
