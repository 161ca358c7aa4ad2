"""Trouble on purpose, per method of the Web API."""

from dataclasses import dataclass

from tests.emulators.faults import AnyFault


@dataclass
class Fault(AnyFault):
    """Besides what any fault does:

    error: an `ok: false` answer with this code, without effect.
    retry_after: a 429 with this header, without effect.
    """

    error: str = ""
    retry_after: int = 0
