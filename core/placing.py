"""What some platforms can do besides, where an answer needs a place first, or has one, and what
some can tell of themselves. Pure.

As in `core.ports`: a thread, or a platform, that has the method has the ability.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from core.types import PartId, ThreadKey


@runtime_checkable
class Prepares(Protocol):
    """Needs calls of its own before the first post: a thread that has to be opened, say.

    While they are waited for, nothing is visible, so that an edited question is asked anew.
    """

    async def prepare(self) -> None:
        """Make ready what a post needs; done already, it makes no call. A post does it, too.

        Raises: as `core.ports.Thread.post`.
        """


@runtime_checkable
class Continues(Protocol):
    """Wants to know what a former process has posted of the answer."""

    def continues(self, parts: Sequence[PartId]) -> None:
        """These messages, the first of them first. Told before anything else; makes no call."""


@runtime_checkable
class ReadsPart(Protocol):
    """Can read one of our messages."""

    async def says(self, part: PartId, texts: Sequence[str]) -> str | None:
        """Which of these texts it says, all of which were sent to it; None: none of them, as far as
        the platform tells. Raises: DeliveryError.
        """


@runtime_checkable
class Withholds(Protocol):
    """Shows no text with certain words, and can say so."""

    async def withheld(self) -> None:
        """Say beneath what is shown of the answer, or instead, that the rest can't be shown, after
        `core.errors.Unshowable`. Never raises.
        """


@runtime_checkable
class Recalls(Protocol):
    """Can tell of several prompts of a thread by one look whether something was posted."""

    async def stood(self, key: str) -> bool:
        """Whether a message posted with this key stands in the thread, as it was when this process
        looked there last, or now. Raises: DeliveryError.
        """


@runtime_checkable
class Readmits(Protocol):
    """A platform that can tell whether it takes our token again, after `LockedOut`."""

    async def readmitted(self) -> bool:
        """Ask it, by one call. Raises: DeliveryError, when it can't be asked."""


@runtime_checkable
class HasPlaces(Protocol):
    """A platform in which conversations of one place wait for each other's calls."""

    def place(self, thread: ThreadKey) -> str:
        """How the keys of all conversations begin that stand where this one does."""
