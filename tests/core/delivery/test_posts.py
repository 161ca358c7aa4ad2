"""Posts: announced before each try, kept after, and found again when their answer was lost."""

import pytest

from core.errors import LostClaim, RateLimited, Unreachable
from core.ports import Posted
from tests.core.delivery.session import Session, raised, words
from tests.fakes.clock import run
from tests.fakes.thread import AbleThread, FakeThread, Fault, limits

LOST = Fault(Unreachable("no answer"))
LANDED = Fault(Unreachable("the answer was lost"), landed=True)


def test_every_part_is_announced_then_kept() -> None:
    thread = FakeThread(limits(size=300))
    session: list[Session] = []

    async def main() -> None:
        session.append(Session(thread))
        await session[0].stream(words(100), pause=0.05)

    run(main())
    entries = session[0].journal.entries
    assert len(entries) == 2 * len(thread.visible) > 4
    for index in range(len(thread.visible)):
        assert entries[2 * index : 2 * index + 2] == [(index, None), (index, f"m{index}")]
    assert "".join(thread.visible) == "".join(words(100))


@pytest.mark.parametrize("lost", [LOST, LANDED], ids=["lost", "landed"])
def test_an_ambiguous_post_is_not_doubled(lost: Fault) -> None:
    thread = AbleThread(faults=(lost,))
    sessions: list[Session] = []

    async def main() -> None:
        sessions.append(Session(thread))
        await sessions[0].stream(words(80), pause=0.1)

    run(main())
    assert thread.visible == ["".join(words(80))]
    tries = sum(call.name == "post" for call in thread.calls)
    assert sessions[0].journal.entries == [(0, None)] * tries + [(0, "m0")]


@pytest.mark.parametrize("fault", [LOST, Fault(RateLimited(7.0))], ids=["lost", "refused"])
def test_a_post_is_not_repeated_for_a_claim_that_was_lost_meanwhile(fault: Fault) -> None:
    thread = FakeThread(faults=(fault,))

    async def main() -> None:
        session = Session(thread)
        session.journal.lost_after = 1
        await session.stream(["text"])

    assert isinstance(raised(main()), LostClaim)
    assert [call.name for call in thread.calls] == ["post"]


def test_without_a_search_the_same_key_is_posted_again() -> None:
    thread = FakeThread(faults=(LOST, LOST))

    async def main() -> None:
        await Session(thread).stream(["text"])

    run(main())
    assert thread.visible == ["text"]
    assert [call.name for call in thread.calls] == ["post"] * 3 + ["edit"]


@pytest.mark.parametrize("there", [True, False])
def test_an_announced_part_of_a_former_process_is_looked_for(there: bool) -> None:
    thread = AbleThread()

    async def main() -> None:
        if there:
            await thread.post("half an ans", "turn:0")
        await Session(thread, (Posted(0, None),)).stream(["The whole answer."])

    run(main())
    assert thread.visible == ["The whole answer."]
