"""The life of a turn: its states and the only steps between them. Pure table.

Each step is one transaction, compare-and-set on the state and on the fence of the claim.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a turn stands. The values are stored."""

    RECEIVED = "received"  # committed; nobody works on it
    CLAIMED = "claimed"  # a worker holds its conversation's lease
    ANSWERED = "answered"  # the outcome is committed; the last edit may be outstanding
    DELIVERED = "delivered"  # the outcome is shown; what was cut off before may still land
    SETTLED = "settled"  # what people see is the outcome
    ABANDONED = "abandoned"  # can't be delivered, the reason is stored
    CANCELLED = "cancelled"  # somebody deleted our message, or theirs: nothing more is shown


STEPS: dict[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.CLAIMED, State.CANCELLED}),
    State.CLAIMED: frozenset(
        {State.RECEIVED, State.ANSWERED, State.ABANDONED, State.CANCELLED},
    ),
    State.ANSWERED: frozenset(
        {State.DELIVERED, State.SETTLED, State.ABANDONED, State.CANCELLED},
    ),
    State.DELIVERED: frozenset(
        {State.DELIVERED, State.SETTLED, State.ABANDONED, State.CANCELLED},
    ),
    State.SETTLED: frozenset(),
    State.ABANDONED: frozenset(),
    State.CANCELLED: frozenset(),
}

OPEN: frozenset[State] = frozenset(state for state, steps in STEPS.items() if steps)
"""States from which a turn still has to go on."""


def may_step(before: State, after: State) -> bool:
    """Whether the table allows this step."""
    return after in STEPS[before]
