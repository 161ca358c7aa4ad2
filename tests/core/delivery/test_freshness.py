"""What is measured of a delivery, against figures worked out by hand."""

import asyncio

import pytest

from core.delivery.deliveries import Delivery
from core.delivery.freshness import Figures, Freshness
from core.delivery.lanes import CALM
from core.types import Kind, PartId
from tests.core.delivery.session import Session
from tests.fakes.clock import now, run
from tests.fakes.thread import FakeThread


def post(text: str, index: int = 0) -> Delivery:
    return Delivery(index, None, text, Kind.FIRST)


def edit(text: str, index: int = 0) -> Delivery:
    return Delivery(index, PartId("m"), text, Kind.INTERIM)


def test_every_character_waits_for_itself() -> None:
    fresh = Freshness()
    fresh.arrived(4, 10.0)
    fresh.arrived(6, 11.0)
    fresh.shown(post("aaaabb"), 11.5)  # four waited 1.5, two 0.5
    fresh.arrived(10, 12.0)
    fresh.shown(edit("a" * 10), 12.5)  # four waited 1.5
    fresh.shown(post("a" * 10, index=1), 13.0)  # ten waited 1.0
    assert fresh.figures(whole=True) == Figures(
        staleness=pytest.approx((6 + 1 + 6 + 10) / 20),  # type: ignore[arg-type]
        first_paint=1.5,
        final_lag=1.0,
        lane="edit",
        refused={},
        calls=3,
    )


def test_what_a_message_shows_beyond_the_text_makes_nothing_fresher() -> None:
    fresh = Freshness()
    fresh.arrived(4, 0.0)
    fresh.shown(post("```\naaaa\n```"), 1.0)
    fresh.shown(edit("aaaa"), 2.0)
    fresh.arrived(4, 3.0)
    fresh.shown(edit("aaaabbbb"), 5.0)
    assert fresh.figures(whole=True).staleness == (4 * 1 + 4 * 2) / 8


def test_what_never_became_visible_counts_for_nothing() -> None:
    fresh = Freshness()
    fresh.arrived(8, 0.0)
    assert fresh.figures(whole=False) == Figures(None, None, None, None, {}, 0)
    fresh.refused(post("aaaa"))
    fresh.shown(post("aaaa"), 2.0)
    assert fresh.figures(whole=False) == Figures(2.0, 2.0, None, "post", {"post": 1}, 2)
    assert fresh.figures(whole=True) == Figures(2.0, 2.0, 2.0, "post", {"post": 1}, 2)


def test_a_failed_attempt_leaves_its_refusals_alone() -> None:
    fresh = Freshness()
    fresh.arrived(8, 0.0)
    fresh.refused(post("aaaa"))
    fresh.restarted()
    fresh.arrived(4, 9.0)
    fresh.shown(post("bbbb"), 9.5)
    assert fresh.figures(whole=True) == Figures(0.5, 0.5, 0.5, "post", {"post": 1}, 2)


def test_the_writer_measures_its_calls() -> None:
    """The first call waits until nothing more comes, each takes 0.15 s, the end goes at once."""
    thread = FakeThread()

    async def main() -> Freshness:
        session = Session(thread)
        fresh = session.writer.freshness
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(1.0)
        for text, pause in (("aaaa", 2.0), (" bbbb", 0.0)):
            session.reply.add(text)
            fresh.arrived(len(text), now())
            session.writer.wake()
            await asyncio.sleep(pause)
        session.reply.finish()
        session.writer.wake()
        await writing
        return fresh

    found = run(main()).figures(whole=True)
    assert found.first_paint == pytest.approx(CALM + 0.15)
    assert found.final_lag == pytest.approx(0.15)
    assert found.staleness == pytest.approx((4 * (CALM + 0.15) + 5 * 0.15) / 9)
    assert (found.lane, found.refused, found.calls) == ("edit", {}, 2)
