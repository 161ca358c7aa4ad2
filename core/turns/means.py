"""What all turns of a process are answered with."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from core.budget import Budget
from core.ports import Completions, History, Turns
from core.turns.window import Room

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Cap:
    """The largest `max_tokens` that the model takes, once it has said so; for all its turns."""

    tokens: int | None = None

    def lower(self, tokens: int) -> None:
        """It said so: each request that asks for more would be refused. The operator is told."""
        if tokens != self.tokens:
            self.tokens = tokens
            fix = f"set DEEPSEEK_MAX_TOKENS to {tokens} at most"
            log.warning("completion.max_tokens_lowered", tokens=tokens, fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How prompts are answered. seconds: of all attempts of a turn and the pauses between them.

    operator: the people who ask also run the service, so they are told what can be done.
    """

    system_prompt: str
    room: Room
    json_object: bool = False
    seconds: float = 600.0
    operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every turn works with. now: seconds, monotonic. chance: uniform in [0, 1). cap: of the
    model, for all turns of this process.

    exclusive: no other process can claim a turn that this one holds. began: when this process did,
    seconds since the epoch.
    """

    turns: Turns
    history: History
    completions: Completions
    budget: Budget
    policy: Policy
    lease: float
    now: Callable[[], float]
    chance: Callable[[], float]
    cap: Cap = field(default_factory=Cap)
    exclusive: bool = False
    began: float = float("-inf")
