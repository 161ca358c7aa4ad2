"""One call that shows a part of a growing answer, as data. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

from core.types import Kind, PartId


class How(Enum):
    """What call shows a text. The last three are those of a native stream (core.ports.Streams)."""

    POST = auto()
    EDIT = auto()
    START = auto()
    APPEND = auto()
    STOP = auto()


STREAMED = frozenset({How.START, How.APPEND, How.STOP})
"""The calls of native streams."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call: make part `index` show the text; part: its message, None when it has none yet.

    shown: what a message that is appended to says now.
    """

    index: int
    part: PartId | None
    text: str
    kind: Kind
    how: How = How.EDIT
    shown: str = ""

    def __post_init__(self) -> None:
        if self.part is None and self.how is How.EDIT:
            object.__setattr__(self, "how", How.POST)


@dataclass(frozen=True, slots=True)
class Stream:
    """The part that is open as a native stream, and since when."""

    index: int
    since: float
