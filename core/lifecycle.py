"""The life of a turn: its states and the only steps between them. Pure table.

Each step is one transaction, compare-and-set on the state and on the fence of the claim.
ARCHITECTURE.md draws this table (`make docs`).
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a turn stands. The values are stored."""

    RECEIVED = "received"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    SETTLED = "settled"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"


MEANING: Mapping[State, str] = {
    State.RECEIVED: "committed; nobody works on it",
    State.CLAIMED: "a worker holds its conversation's lease, or died holding it",
    State.ANSWERED: "the outcome is committed; the last edit may be outstanding",
    State.DELIVERED: "the outcome is shown; what was cut off before may still land until "
    "`settle_at`, then it is made sure of once more",
    State.SETTLED: "what people see is the outcome, and stays so unless the prompt is edited under "
    "a line of ours",
    State.ABANDONED: "can't be delivered; the reason is stored",
    State.CANCELLED: "nothing more is shown; the reason is stored",
}
"""What each state says of its turn."""

WITHDRAWN = "the prompt was deleted"
"""Why a turn is cancelled whose prompt is no more."""

_ENDED = "the prompt or our message was deleted, or a person stopped the answer"
_REFUSED = "the platform refuses the thread for good"
_EDITED = "the prompt was edited, under a line of ours alone"

STEPS: Mapping[State, Mapping[State, str]] = {
    State.RECEIVED: {
        State.CLAIMED: "its turn has come",
        State.CANCELLED: WITHDRAWN,
    },
    State.CLAIMED: {
        State.RECEIVED: "given back",
        State.ANSWERED: "an answer or a notice is committed",
        State.ABANDONED: _REFUSED,
        State.CANCELLED: _ENDED,
    },
    State.ANSWERED: {
        State.RECEIVED: "the prompt was edited, before a part was announced or under a line "
        "of ours alone",
        State.DELIVERED: "all is shown, a call was cut off",
        State.SETTLED: "all is shown, no call was cut off",
        State.ABANDONED: _REFUSED,
        State.CANCELLED: _ENDED,
    },
    State.DELIVERED: {
        State.RECEIVED: _EDITED,
        State.DELIVERED: "another call was cut off",
        State.SETTLED: "the time is over, all was made sure of",
        State.ABANDONED: _REFUSED,
        State.CANCELLED: _ENDED,
    },
    State.SETTLED: {State.RECEIVED: _EDITED},
    State.ABANDONED: {},
    State.CANCELLED: {},
}
"""From each state the steps that there are, with what makes them happen."""

OPEN: frozenset[State] = frozenset(State) - {State.SETTLED, State.ABANDONED, State.CANCELLED}
"""States from which a turn still has to go on."""


def may_step(before: State, after: State) -> bool:
    """Whether the table allows this step."""
    return after in STEPS[before]
