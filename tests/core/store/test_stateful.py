"""Any order of deliveries, claims, answers, crashes and late writes, against a small model.

The functions run on a synchronous engine in memory: the same statements, no loop and no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine

from core.errors import LostClaim
from core.lifecycle import OPEN, State
from core.ports import Turn
from core.store import claims, history, inbox, leases, retention
from core.store.clock import Uptime
from core.store.database import configure
from core.store.retention import Erased
from core.store.schema import metadata
from core.types import Memory, Outcome, Remembered, Role, ThreadKey, Verdict
from tests.core.store.making import HERE, LEASE, prompt

THREADS = ("a", "b")
ENGINE = create_engine("sqlite://", connect_args={"isolation_level": None})
configure(ENGINE, "BEGIN IMMEDIATE")


@dataclass
class Known:
    """What the model knows of a turn."""

    number: int
    state: State = State.RECEIVED
    attempts: int = 0
    settle_at: float = 0.0
    crashes: int = 0
    ended_at: float = 0.0
    erased: bool = False


@dataclass
class Entry:
    """What the model knows of an entry of the history: whose it is, and whether it is sent."""

    number: int
    content: str
    sent: bool = True


@dataclass
class Talk:
    """What the model knows of a conversation."""

    turns: dict[int, Known] = field(default_factory=dict)
    said: list[Entry] = field(default_factory=list)
    fresh: bool = True
    restarted: bool = False
    fence: int = 0
    held_until: float | None = None

    def head(self) -> Known | None:
        still_open = [turn for turn in self.turns.values() if turn.state in OPEN]
        return min(still_open, key=lambda turn: turn.number, default=None)


class StoreMachine(RuleBasedStateMachine):
    """claims: every claim ever made, the stale ones too. memories: what each found, by fence."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()
        self.now = 1000.0
        self.talks = {thread: Talk() for thread in THREADS}
        self.claims: list[Turn] = []
        self.memories: dict[tuple[str, int], Memory] = {}

    def reset(self) -> None:
        """Empty the tables."""
        with ENGINE.begin() as conn:
            metadata.drop_all(conn)
            metadata.create_all(conn)

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        with ENGINE.begin() as conn:
            return fn(conn, *args)

    def model_of(self, claim: Turn) -> tuple[Talk, Known, bool]:
        """Conversation, turn, and whether the claim holds."""
        talk = self.talks[claim.prompt.thread]
        holds = talk.held_until is not None and talk.fence == claim.fence
        return talk, talk.turns[int(claim.prompt.sequence)], holds

    def expect(self, allowed: bool, fn: Callable[..., Any], *args: Any) -> Any:
        """The write goes through exactly when the model allows it."""
        try:
            result = self.run(fn, *args)
        except LostClaim:
            assert not allowed, f"{fn.__name__} was refused"
            return None
        assert allowed, f"{fn.__name__} went through"
        return result

    @rule(thread=st.sampled_from(THREADS), number=st.integers(0, 5), follow_up=st.booleans())
    def accept(self, thread: str, number: int, follow_up: bool) -> None:
        talk = self.talks[thread]
        follows = any(earlier < number for earlier in talk.turns)
        new = number not in talk.turns and (follows or not follow_up)
        asked = prompt(number, thread, follow_up=follow_up)
        assert self.run(inbox.accept, asked, self.now) is new
        if new:
            talk.turns[number] = Known(number)

    @rule()
    def claim(self) -> None:
        free = {
            thread
            for thread, talk in self.talks.items()
            if talk.head() and (talk.held_until is None or talk.held_until < self.now)
        }
        claimed = self.run(inbox.claim, "worker", HERE, LEASE, self.now, Uptime(self.now, ""))
        assert (claimed is None) == (not free)
        if claimed is None:
            return
        assert claimed.prompt.thread in free
        talk = self.talks[claimed.prompt.thread]
        head = talk.head()
        assert head is not None
        if head.state in (State.CLAIMED, State.ANSWERED):
            head.crashes += 1
        if head.state is State.RECEIVED:
            head.state = State.CLAIMED
        talk.fence, talk.held_until = talk.fence + 1, self.now + LEASE
        assert claimed.prompt.sequence == f"{head.number:06}"
        assert (claimed.state, claimed.attempts) == (head.state, head.attempts)
        assert (claimed.outcome is not None) == (head.state in (State.ANSWERED, State.DELIVERED))
        left = None if head.state is not State.DELIVERED else head.settle_at - self.now
        assert claimed.settles_in == left
        assert (claimed.fence, claimed.crashes) == (talk.fence, head.crashes)
        self.claims.append(claimed)
        kept = self.run(history.load, claimed.prompt.thread)
        self.memories[claimed.prompt.thread, claimed.fence] = kept.memory

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def attempt(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        _, known, holds = self.model_of(claim)
        allowed = holds and known.state is State.CLAIMED
        counted = self.expect(allowed, claims.attempt, claim)
        if allowed:
            known.attempts += 1
            assert counted == known.attempts

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        talk, known, holds = self.model_of(claim)
        entry = Remembered(Role.ASSISTANT, f"{known.number} by {claim.fence}")
        outcome = Outcome(verdict=Verdict.COMPLETE, text=entry.content)
        allowed = holds and known.state in (State.CLAIMED, State.ANSWERED, State.DELIVERED)
        memory = self.memories[claim.prompt.thread, claim.fence]
        self.expect(allowed, claims.answer, claim, outcome, [entry], memory, self.now)
        if allowed and known.state is State.CLAIMED:
            known.state, known.crashes = State.ANSWERED, 0
            talk.fresh = False
            talk.said.append(Entry(known.number, entry.content))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), seconds=st.integers(1, 25))
    def deliver(self, data: st.DataObject, seconds: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        _, known, holds = self.model_of(claim)
        allowed = holds and known.state in (State.ANSWERED, State.DELIVERED)
        self.expect(allowed, claims.deliver, claim, float(seconds), Uptime(self.now, ""))
        if allowed:
            known.state, known.settle_at = State.DELIVERED, self.now + seconds

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        end=st.sampled_from([State.SETTLED, State.ABANDONED, State.CANCELLED]),
    )
    def finish(self, data: st.DataObject, end: State) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        talk, known, holds = self.model_of(claim)
        steps = {State.ANSWERED: True, State.DELIVERED: True}
        steps[State.CLAIMED] = end is not State.SETTLED
        allowed = holds and steps.get(known.state, False)
        self.expect(allowed, claims.finish, claim, end, "", self.now)
        if allowed:
            known.state, known.ended_at, talk.held_until = end, self.now, None

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        talk, known, holds = self.model_of(claim)
        self.expect(holds, claims.release, claim)
        if holds:
            talk.held_until = None
            if known.state is State.CLAIMED:
                known.state = State.RECEIVED
            elif known.state is State.ANSWERED:
                known.crashes -= 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        talk, _, holds = self.model_of(claim)
        self.expect(holds, leases.renew, claim, LEASE, self.now)
        if holds:
            talk.held_until = self.now + LEASE

    @rule(thread=st.sampled_from(THREADS))
    def restart(self, thread: str) -> None:
        talk = self.talks[thread]
        done = (talk.head() is None) if talk.turns else None
        assert self.run(history.restart, ThreadKey(thread)) is done
        if done:
            talk.said = [Entry(said.number, said.content, sent=False) for said in talk.said]
            talk.fresh, talk.restarted = False, True

    @rule(age=st.sampled_from([0.0, LEASE, 5 * LEASE]))
    def erase(self, age: float) -> None:
        """What ended so long ago goes; where nothing is left, the thread may be read again."""
        turns = entries = 0
        for talk in self.talks.values():
            old = {
                known.number
                for known in talk.turns.values()
                if known.state not in OPEN and not known.erased and known.ended_at <= self.now - age
            }
            for number in old:
                talk.turns[number].erased = True
            left = [said for said in talk.said if said.number not in old]
            turns, entries = turns + len(old), entries + len(talk.said) - len(left)
            talk.said = left
            if old and not left and not talk.restarted:
                talk.fresh = True
        assert self.run(retention.erase, age, 60.0, self.now) == Erased(turns, entries)

    @rule()
    def stop_answering(self) -> None:
        """A worker is paused, or dead, past its lease."""
        self.now += LEASE + 1

    @rule()
    def start_again(self) -> None:
        """The process died; the next one voids what it held."""
        held = [talk for talk in self.talks.values() if talk.held_until is not None]
        assert self.run(leases.take_over, HERE) == len(held)
        for talk in held:
            talk.held_until = None

    @invariant()
    def as_the_model_says(self) -> None:
        for thread, talk in self.talks.items():
            still_open = sum(turn.state in OPEN for turn in talk.turns.values())
            assert self.run(inbox.waiting, ThreadKey(thread)) == still_open
            kept = self.run(history.load, ThreadKey(thread))
            sent = [said.content for said in talk.said if said.sent]
            assert [entry.content for entry in kept.messages] == sent
            assert kept.fresh == talk.fresh


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
