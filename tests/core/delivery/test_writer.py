"""The writer against a thread that behaves like a platform, in virtual time."""

import asyncio
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from core.delivery.sharing import OwnBudget
from core.errors import Held, PartGone, RateLimited, TooLarge, Undeliverable, Unreachable
from core.ports import Posted
from core.types import Allowance, Kind, Limits, PartId
from tests.core.delivery.session import Session, raised, words
from tests.fakes.clock import now, run
from tests.fakes.thread import AbleThread, FakeThread, Fault, Limiter, limits

LOST = Fault(Unreachable("no answer"))
LANDED = Fault(Unreachable("the answer was lost"), landed=True)


def test_an_answer_is_one_message_rewritten_about_once_a_second() -> None:
    thread = FakeThread()

    async def main() -> None:
        await Session(thread).stream(words(100), pause=0.1)
        assert now() < 10.4

    run(main())
    (states,) = thread.states.values()
    assert states[-1][1] == "".join(words(100))
    assert states[0][0] < 0.4
    starts = [call.at for call in thread.calls]
    assert 9 <= len(starts) <= 12
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(starts[:-1]))
    assert all(later[1].startswith(earlier[1].rstrip()) for earlier, later in pairwise(states))


def test_the_end_does_not_wait_for_the_gap() -> None:
    thread = FakeThread()

    async def main() -> None:
        await Session(thread).stream(["a ", "b ", "c"], pause=0.2)
        assert now() < 1.0

    run(main())
    assert thread.visible == ["a b c"]


def test_the_reader_never_waits_for_the_platform() -> None:
    thread = FakeThread(latency=lambda: 20.0)

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.writer.run())
        for word in words(50):
            await asyncio.sleep(0.1)
            session.reply.add(word)
            session.writer.wake()
        assert now() == pytest.approx(5.0)
        session.reply.finish()
        session.writer.wake()
        await writing

    run(main())
    assert thread.visible == ["".join(words(50))]


def test_a_refused_edit_is_dropped_for_newer_text() -> None:
    thread = FakeThread(faults=(None, Fault(RateLimited(4.0))))

    async def main() -> None:
        await Session(thread).stream(words(100), pause=0.1)

    run(main())
    refused = thread.calls[1]
    after = thread.calls[2]
    assert after.at >= refused.at + 4.0
    assert len(after.text) > len(refused.text) + 200
    assert thread.visible == ["".join(words(100))]


def test_a_refused_final_edit_is_tried_again() -> None:
    thread = FakeThread(faults=(None, Fault(RateLimited(2.0)), Fault(RateLimited(2.0))))

    async def main() -> None:
        await Session(thread).stream(["one ", "two"], pause=0.3)

    run(main())
    assert [call.ok for call in thread.calls] == [True, False, False, True]
    assert thread.visible == ["one two"]


def test_former_messages_are_edited_and_the_rest_removed() -> None:
    thread = AbleThread(limits(size=300))

    async def main() -> None:
        old = [Posted(n, await thread.post(f"old {n}", f"turn:{n}")) for n in range(4)]
        await thread.post("never confirmed", "turn:4")
        await Session(thread, (*old, Posted(4, None))).stream(["Sentence. " * 50])

    run(main())
    assert len(thread.states) == 5
    assert len(thread.gone) == 3
    assert "".join(thread.visible) == "Sentence. " * 50


@pytest.mark.parametrize("leaves", [False, True])
def test_former_messages_stay_while_somebody_may_begin_anew(leaves: bool) -> None:
    thread = AbleThread()

    async def main() -> None:
        old = tuple([Posted(n, await thread.post(f"old {n}", f"turn:{n}")) for n in range(2)])
        session = Session(thread, old)
        session.journal.outcome.clear()
        session.reply.finish("How it ends.")
        if leaves:  # what the reply ends with is never stored
            session.writer.leave()
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(60.0)
        assert thread.visible == ["How it ends.", "old 1"]
        assert writing.done() == leaves
        session.journal.outcome.set()
        await writing

    run(main())
    assert thread.visible == ["How it ends.", *["old 1"] * leaves]


def test_an_unreachable_platform_is_tried_with_pauses() -> None:
    thread = FakeThread(faults=(None, *[LOST] * 12))

    async def main() -> None:
        await Session(thread).stream(["one ", "two"], pause=0.3)

    run(main())
    assert thread.visible == ["one two"]
    pauses = [later.at - earlier.at for earlier, later in pairwise(thread.calls[1:])]
    assert max(pauses) <= 30.2
    assert sum(pauses[6:]) > 3 * sum(pauses[:3])


def test_the_pauses_are_of_any_length_up_to_one_that_doubles() -> None:
    async def main(thread: FakeThread, chance: float) -> None:
        await Session(thread, chance=lambda: chance).stream(["one ", "two"], pause=0.3)

    for chance in (0.0, 0.25, 1.0):
        thread = FakeThread(latency=lambda: 0.0, faults=(None, *[LOST] * 4))
        run(main(thread, chance))
        pauses = [later.at - earlier.at for earlier, later in pairwise(thread.calls[1:6])]
        assert pauses == pytest.approx([chance * longest for longest in (0.5, 1.0, 2.0, 4.0)])


def test_after_a_quarter_of_an_hour_it_is_given_up() -> None:
    thread = FakeThread(faults=(None, *[LOST] * 1000))

    async def main() -> None:
        try:
            await Session(thread).stream(["one ", "two"], pause=0.3)
        finally:
            assert 900 <= now() <= 935

    assert isinstance(raised(main()), Undeliverable)


def test_a_very_long_ban_is_not_waited_for() -> None:
    thread = FakeThread(faults=(None, Fault(RateLimited(1e5)), Fault(RateLimited(1e5))))

    async def main() -> None:
        try:
            await Session(thread).stream(["one ", "two"], pause=0.3)
        finally:
            assert 900 <= now() <= 905

    assert isinstance(raised(main()), Undeliverable)


@pytest.mark.parametrize("error", [PartGone("deleted"), Undeliverable("not in the channel")])
def test_what_is_for_ever_ends_at_once(error: PartGone | Undeliverable) -> None:
    thread = FakeThread(faults=(None, Fault(error)))

    async def main() -> None:
        await Session(thread).stream(words(100), pause=0.1)

    assert raised(main()) is error
    assert len(thread.calls) == 2


def test_a_smaller_limit_than_we_believed() -> None:
    class Stingy(FakeThread):
        """Refuses above 500 what its limits allow up to 1,000."""

        async def post(self, text: str, key: str) -> PartId:
            self._check(text)
            return await super().post(text, key)

        async def edit(self, part: PartId, text: str) -> None:
            self._check(text)
            await super().edit(part, text)

        def _check(self, text: str) -> None:
            if len(text) > 500:
                raise TooLarge("more than 500")

    thread = Stingy()

    async def main() -> None:
        await Session(thread).stream(words(400), pause=0.05)

    run(main())
    assert "".join(thread.visible) == "".join(words(400))
    assert max(map(len, thread.visible)) <= 500


def test_a_size_that_is_never_accepted_is_given_up() -> None:
    thread = FakeThread(faults=tuple([Fault(TooLarge("no"))] * 50))

    async def main() -> None:
        await Session(thread).stream(["text"])

    assert isinstance(raised(main()), Undeliverable)
    assert len(thread.calls) < 10


ENORMOUS = {
    "prose": "A sentence of some words.\n\n" * 3_800,
    "line": "x" * 100_000,
    "code": "```python\n" + "value = 1\n" * 10_000 + "```\n",
    "table": "| a | b |\n|---|---|\n" + "| some | words |\n" * 6_000,
}


@pytest.mark.parametrize("kind", ENORMOUS)
def test_a_hundred_thousand_characters(kind: str) -> None:
    text = ENORMOUS[kind]
    thread = FakeThread(limits(size=11_500))
    sessions: list[Session] = []

    async def main() -> None:
        sessions.append(Session(thread))
        await sessions[0].stream((text[at : at + 500] for at in range(0, len(text), 500)), 0.25)

    run(main())
    assert tuple(thread.visible) == sessions[0].reply.texts
    assert 9 <= len(thread.visible) <= 13
    for _, state in (state for states in thread.states.values() for state in states):
        assert len(state) <= 11_500
        assert state.count("```") % 2 == 0


def test_ten_replies_share_one_budget() -> None:
    limiter = Limiter(10, 50 / 60)
    shared = limits()
    tight = Limits(
        size=1000, measure=len, gap=1.0, post=Allowance("post", 20, 5.0), edit=shared.edit
    )

    class Budgeted(FakeThread):
        """Only edits count against the budget."""

        async def edit(self, part: PartId, text: str) -> None:
            limiter.take()
            await super().edit(part, text)

    async def main() -> list[FakeThread]:
        budget = OwnBudget(now)
        threads: list[FakeThread] = [Budgeted(tight, latency=lambda: 0.0) for _ in range(10)]
        async with asyncio.TaskGroup() as group:
            for number, thread in enumerate(threads):
                session = Session(thread, budget=budget)
                group.create_task(session.stream(words(100), pause=0.1 + number / 100))
        assert now() < 35
        return threads

    threads = run(main())
    assert [thread.visible for thread in threads] == [["".join(words(100))]] * 10
    assert limiter.refusals == 0


def test_a_stingier_platform_is_learned() -> None:
    limiter = Limiter(3, 0.3)
    thread = FakeThread(limiter=limiter)

    async def main() -> None:
        await Session(thread).stream(words(600), pause=0.1)
        assert now() < 80

    run(main())
    assert "".join(thread.visible) == "".join(words(600))
    assert limiter.refusals < 10


def test_a_call_that_was_held_back_slows_nothing_down() -> None:
    """The adapter knew that it would be refused: the platform has said nothing against the pace."""

    class Holding(FakeThread):
        """Every second edit comes too early by what the platform told the adapter."""

        asked = 0

        async def edit(self, part: PartId, text: str) -> None:
            self.asked += 1
            if self.asked % 2:
                raise Held(0.3)
            await super().edit(part, text)

    class Counting(OwnBudget):
        refusals = 0

        async def refused(self, allowance: Allowance, retry_after: float) -> None:
            self.refusals += 1
            await super().refused(allowance, retry_after)

    thread = Holding()

    async def main() -> int:
        budget = Counting(now)
        await Session(thread, budget=budget).stream(words(100), pause=0.1)
        return budget.refusals

    assert run(main()) == 0
    assert thread.asked > 6
    assert "".join(thread.visible) == "".join(words(100))


@pytest.mark.parametrize("narrow", [True, False])
def test_what_is_refused_by_itself_holds_up_nobody_else(narrow: bool) -> None:
    wide = Allowance("everywhere", 10, 10.0)
    here, there = (Allowance(name, 5, 1.0, within=wide) for name in ("here", "there"))
    refusal = Fault(RateLimited(3.0, narrow=narrow))
    thread = FakeThread(replace(limits(), edit=here), faults=(None, refusal))

    async def main() -> float:
        budget = OwnBudget(now)
        writing = asyncio.create_task(Session(thread, budget=budget).stream(words(50), pause=0.1))
        await asyncio.sleep(4)
        elsewhere = await budget.take(there, Kind.INTERIM)
        await writing
        return elsewhere

    assert (run(main()) == 0) == narrow
    refused, after = thread.calls[1:3]
    assert after.at >= refused.at + 3.0


def test_cancelling_stops_it() -> None:
    thread = FakeThread()

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add("text")
        session.writer.wake()
        await asyncio.sleep(0.1)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run(main())
    assert thread.visible == []


@pytest.mark.parametrize("seed", range(12))
def test_any_mixture_of_failures_ends_in_the_exact_text(seed: int) -> None:
    rng = random.Random(seed)
    faults = tuple(
        rng.choice([None, None, None, LOST, LANDED, Fault(RateLimited(rng.uniform(0, 5)))])
        for _ in range(60)
    )
    thread = AbleThread(limits(size=300), faults=faults, latency=lambda: rng.expovariate(5))

    async def main() -> None:
        await Session(thread).stream(words(150), pause=0.1, notice="That's all.")

    run(main())
    assert "".join(thread.visible) == "".join(words(150)).rstrip() + " \n\nThat's all."
    for states in thread.states.values():
        for earlier, later in pairwise(states):
            assert later[1].startswith(earlier[1].rstrip())
