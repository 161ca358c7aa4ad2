"""Trouble on purpose, per route of the REST API: "POST /channels/{channel}/messages", say."""

from dataclasses import dataclass

from tests.emulators.faults import AnyFault


@dataclass
class Fault(AnyFault):
    """Besides what any fault does:

    code: a refusal with this error code, without effect.
    retry_after: a 429 of so many seconds, without effect. via False: without the header `Via`, as
    Cloudflare bans answer. everywhere: it is the global limit.
    """

    code: int = 0
    retry_after: float = 0.0
    via: bool = True
    everywhere: bool = False
