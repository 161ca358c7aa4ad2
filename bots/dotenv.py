"""Reads `.env`: what it sets, and which of its lines set nothing though they should.

A line is told by its number. Nothing of it is repeated but a name of ours, as it may be a secret.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_START = re.compile(r"(?:export\s+)?(\w+)\s*(=?)")


def read(path: Path, names: Collection[str], problems: list[str]) -> dict[str, str]:
    """The values; what can't be read is added to the problems. names: what is ours."""
    try:
        if not path.is_file():
            return {}
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: can't be read ({error}): make it a readable UTF-8 text file")
        return {}
    problems += [f"{path}, line {line}: {what}" for line, what in _mistakes(bindings, names)]
    values = {each.key: each.value.strip() for each in bindings if each.key and each.value}
    return {name: value for name, value in values.items() if value}


def nothing(path: Path, *, alone: bool) -> str:
    """What is to be said of a file that sets nothing. alone: nothing else does either."""
    if path.is_file():
        return f"{path.absolute()} sets nothing"
    return f"no {path.absolute()}" if alone else ""


def _mistakes(bindings: Iterable[Binding], names: Collection[str]) -> Iterator[tuple[int, str]]:
    for each in bindings:
        if not each.error and (each.key is None or each.value is not None):
            continue
        line = each.original.string.lstrip()
        before = each.original.string.removesuffix(line)
        yield each.original.line + before.count("\n"), _mistake(line, names)


def _mistake(line: str, names: Collection[str]) -> str:
    start = _START.match(line)
    if start is None or start[1] not in names:
        return "is not NAME=value: write it so, or begin it with # if it is a remark"
    if start[2]:
        return (
            f"{start[1]} has a quote that isn't closed, or something behind the closing one: put "
            "the whole value between two quotes, or leave them out"
        )
    return f"{start[1]} has no = behind it: write {start[1]}=value, or begin the line with #"
