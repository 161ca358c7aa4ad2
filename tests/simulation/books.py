"""What the committed transactions mean, kept beside the database: the books to check it against.

One `Case` a prompt. Whatever must hold at every moment is checked while the books are written.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.ports import Turn
from core.types import Prompt

MOST_OPEN = 10
"""Prompts of a thread that may be open; the promise of docs/reliability.md."""


@dataclass(slots=True)
class Case:
    """What was committed of one prompt.

    texts: what may be answered: the text that had to be, then what it was edited to while an
    answer was already begun. text: what is stored. withdrawn: deleted by the person: "untouched"
    while nobody worked on it and nothing could be visible, "open" while it could, "ended" when all
    was over. claim: the fence under which it is worked on; 0 while nobody does.
    """

    thread: str
    text: str
    crowded: bool
    texts: list[str] = field(default_factory=list)
    claim: int = 0
    begun: bool = False
    answered: bool = False
    ended: bool = False
    withdrawn: str = ""


class Books:
    """The cases by identity. wrong: says that something does not hold."""

    def __init__(self, wrong: Callable[[str], None]) -> None:
        self.cases: dict[str, Case] = {}
        self.heard: set[tuple[str, str]] = set()
        self._wrong = wrong

    def note(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """The transaction `name` is durable."""
        match name:
            case "accept" if result:
                self._accepted(args[0])
            case "claim" if result is not None:
                self._claimed(result)
            case "amend":
                self._amended(*args, voided=bool(result.fence))
            case "release":
                self._given_back(args[0])
            case "withdraw":
                self._withdrawn(args[0])
            case "announce" | "attempt" | "answer" | "park" | "finish":
                self._went_on(name, args[0].prompt.identity)

    def _accepted(self, prompt: Prompt) -> None:
        crowded = self.open_in(prompt.thread) >= MOST_OPEN
        self.cases[prompt.identity] = Case(prompt.thread, prompt.text, crowded, [prompt.text])

    def open_in(self, thread: str) -> int:
        """Prompts of the thread that wait or are answered."""
        return sum(
            case.thread == thread and not case.crowded and not case.ended
            for case in self.cases.values()
        )

    def _claimed(self, turn: Turn) -> None:
        case = self.cases.get(turn.prompt.identity)
        if case is None:
            return
        case.claim = turn.fence
        if case.crowded != turn.crowded:
            what = "taken in beyond ten" if case.crowded else "refused before ten"
            self._wrong(f"I2 {what}: {turn.prompt.identity}")

    def _given_back(self, turn: Turn) -> None:
        case = self.cases.get(turn.prompt.identity)
        if case is not None and case.claim == turn.fence and not case.answered:
            case.claim = 0

    def _amended(self, identity: str, text: str, *, voided: bool) -> None:
        self.heard.add((identity, text))
        case = self.cases.get(identity)
        if case is None or case.withdrawn:
            return
        case.text = text
        if voided:
            case.claim, case.answered, case.ended, case.texts = 0, False, False, [text]
        elif case.begun or case.answered or case.ended:
            case.texts.append(text)
        else:
            case.texts = [text]

    def _withdrawn(self, identity: str) -> None:
        self.heard.add((identity, ""))
        case = self.cases.get(identity)
        if case is None or case.withdrawn:
            return
        touched = case.claim or case.begun or case.answered
        case.withdrawn = "ended" if case.ended else "open" if touched else "untouched"
        case.ended = True if case.withdrawn == "untouched" else case.ended

    def _went_on(self, name: str, identity: str) -> None:
        case = self.cases.get(identity)
        if case is None:
            return
        if case.withdrawn and name != "finish":
            self._wrong(f"worked on after it was deleted: {name} of {identity}")
        if case.answered and name == "attempt":
            self._wrong(f"I7 asked again after its answer was committed: {identity}")
        case.begun |= name == "announce"
        case.answered |= name in ("answer", "park")
        case.ended |= name == "finish"
