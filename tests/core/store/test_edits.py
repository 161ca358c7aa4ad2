"""Prompts that were edited or deleted: what is stored then, who notices, and who was first."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from core.errors import LostClaim, Withdrawn
from core.lifecycle import State
from core.ports import Amended, Turn
from core.store import batches
from core.store.edits import MARK
from core.store.schema import turn
from core.types import Memory, Outcome, PartId, Remembered, Role, ThreadKey, Verdict
from tests.core.store.making import COMPLETE, FULL, LEASE, THREAD, Store, opened, prompt

ASKED = prompt(1)
ME = ASKED.identity
SAID = (Remembered(Role.USER, ASKED.text, "Ann"), Remembered(Role.ASSISTANT, "Forty-two."))


def _rows(conn: Connection) -> list[tuple[str, str, str, bool]]:
    columns = (turn.c.text, turn.c.state, turn.c.reason, turn.c.withdrawn)
    return [tuple(row) for row in conn.execute(select(*columns).order_by(turn.c.id))]


def _telling(folder: Path) -> list[str]:
    """The files that hold the canary."""
    return [file.name for file in folder.iterdir() if b"canary" in file.read_bytes()]


async def _contents(store: Store, thread: ThreadKey = THREAD) -> list[str]:
    return [entry.content for entry in (await store.history.load(thread)).messages]


async def test_edited_while_it_waits_is_asked_with_the_new_text(store: Store) -> None:
    await store.turns.accept(ASKED)
    assert await store.turns.amend(ME, "better") == Amended(known=True)
    assert (await store.claim()).prompt.text == "better"


async def test_edited_before_a_part_was_announced_voids_the_claim(store: Store) -> None:
    await store.turns.accept(ASKED)
    first = await store.claim()
    await store.turns.attempt(first)
    amended = await store.turns.amend(ME, "better")
    assert amended == Amended(known=True, fence=first.fence + 1)
    for write in (
        store.turns.renew(first, LEASE),
        store.turns.attempt(first),
        store.turns.announce(first, 0),
        store.turns.answer(first, COMPLETE, SAID, Memory()),
        store.turns.finish(first, State.SETTLED),
    ):
        with pytest.raises(LostClaim):
            await write
    again = await store.claim()
    assert (again.prompt.text, again.attempts, again.fence) == ("better", 0, first.fence + 2)


async def test_a_new_text_is_a_new_question_for_as_long_as_it_will_be_asked(store: Store) -> None:
    """Also when its turn was given back meanwhile, but not when the old text is being answered."""
    await store.turns.accept(ASKED)
    held = await store.claim()
    await store.turns.attempt(held)
    await store.turns.release(held)
    assert await store.turns.amend(ME, "better") == Amended(known=True)
    held = await store.claim()
    assert held.attempts == 0
    await store.turns.attempt(held)
    await store.turns.announce(held, 0)
    await store.turns.amend(ME, "best")
    assert await store.turns.attempt(held) == 2


async def test_edited_once_it_is_answered_but_not_announced_nothing_is_left_of_the_answer(
    store: Store,
) -> None:
    await store.turns.accept(ASKED)
    first = await store.claim()
    await store.turns.attempt(first)
    await store.turns.answer(first, FULL, SAID, Memory())
    await store.void()
    first = await store.claim()
    assert first.crashes == 1
    amended = await store.turns.amend(ME, "better")
    assert amended == Amended(known=True, fence=first.fence + 1)
    assert await _contents(store) == []
    for write in (store.turns.announce(first, 0), store.turns.finish(first, State.SETTLED)):
        with pytest.raises(LostClaim):
            await write
    again = await store.claim()
    assert (again.prompt.text, again.state, again.attempts) == ("better", State.CLAIMED, 0)
    assert (again.outcome, again.crashes) == (None, 0)
    await store.say(again, Remembered(Role.USER, "better", "Ann"), SAID[1])
    assert await _contents(store) == ["better", "Forty-two."]


async def test_the_same_text_again_disturbs_nobody(store: Store) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    assert await store.turns.amend(ME, ASKED.text) == Amended(known=True)
    await store.turns.renew(held, LEASE)
    assert await store.free_turn() is None


async def test_edited_once_it_may_be_visible_the_answer_stays_and_history_follows(
    store: Store,
) -> None:
    await store.turns.accept(prompt(1, files=("a.pdf",)))
    held = await store.claim()
    await store.turns.announce(held, 0)
    assert await store.turns.amend(ME, "better") == Amended(known=True)
    note = "\n\n[Attached, but not readable for you: a.pdf]"
    asked = Remembered(Role.USER, f"Ann: {ASKED.text}{note}", "Ann")
    await store.turns.answer(held, COMPLETE, (asked, SAID[1]), Memory())
    assert await _contents(store) == [f"Ann: better{note}", "Forty-two."]


async def test_edited_when_settled_turn_and_history_follow(store: Store) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    await store.say(held, *SAID)
    await store.turns.finish(held, State.SETTLED)
    assert await store.turns.amend(ME, "nul\x00") == Amended(known=True)
    assert await _contents(store) == ["nul\ufffd", "Forty-two."]
    assert await store.database.read(_rows) == [("nul\ufffd", State.SETTLED, "", False)]
    assert await store.free_turn() is None


REFUSED = Outcome(verdict=Verdict.FILTERED, notice="Please ask differently.")
HELP = Outcome(verdict=Verdict.COMPLETE, text="Hi!")


async def _told(store: Store, outcome: Outcome, *entries: Remembered, **changes: object) -> Turn:
    """ASKED, answered so by a message of ours."""
    await store.turns.accept(replace(ASKED, **changes))  # type: ignore[arg-type]
    held = await store.claim()
    await store.turns.attempt(held)
    await store.turns.announce(held, 0)
    await store.turns.posted(held, 0, PartId("p0"))
    await store.turns.answer(held, outcome, entries, Memory())
    return held


@pytest.mark.parametrize("outcome", [HELP, REFUSED], ids=["help", "refused"])
@pytest.mark.parametrize("state", [State.ANSWERED, State.DELIVERED, State.SETTLED])
async def test_edited_under_a_line_of_ours_it_is_asked_in_that_message(
    store: Store, outcome: Outcome, state: State
) -> None:
    held = await _told(store, outcome)
    if state is State.DELIVERED:
        await store.turns.deliver(held, 25.0)
    elif state is State.SETTLED:
        await store.turns.finish(held, State.SETTLED)
    amended = await store.turns.amend(ME, "better")
    assert amended == Amended(known=True, fence=held.fence + (state is not State.SETTLED))
    with pytest.raises(LostClaim):
        await store.turns.renew(held, LEASE)
    again = await store.claim()
    assert (again.prompt.text, again.attempts, again.crashes) == ("better", 0, 0)
    assert (again.outcome, again.settles_in) == (None, None)
    assert [part.id for part in again.parts] == ["p0"]
    await store.say(again, Remembered(Role.USER, "better", "Ann"), SAID[1])
    await store.turns.finish(again, State.SETTLED)
    assert await store.turns.amend(ME, "best") == Amended(known=True)
    assert await _contents(store) == ["best", "Forty-two."]
    assert await store.free_turn() is None


async def test_edited_under_a_line_of_ours_whatever_is_answered_there_now_goes_on(
    store: Store,
) -> None:
    held = await _told(store, REFUSED)
    await store.turns.finish(held, State.SETTLED)
    await store.turns.accept(prompt(2))
    other = await store.claim()
    assert (await store.turns.amend(ME, "better")).fence
    await store.turns.renew(other, LEASE)
    assert await store.free_turn() is None
    await store.say(other)
    await store.turns.finish(other, State.SETTLED)
    assert (await store.claim()).prompt.text == "better"


@pytest.mark.parametrize("why", ["late", "partly", "remembered", "withdrawn"])
async def test_edited_under_anything_else_it_is_not_asked_again(store: Store, why: str) -> None:
    outcome = replace(REFUSED, text="It is" if why == "partly" else "")
    entries = SAID[:1] if why == "remembered" else ()
    held = await _told(store, outcome, *entries, late=why == "late")
    await store.turns.finish(held, State.SETTLED)
    if why == "withdrawn":
        await store.turns.withdraw(ME)
    assert await store.turns.amend(ME, "better") == Amended(known=True)
    assert await store.free_turn() is None


@pytest.mark.parametrize("label", ["", "Bob: "])
async def test_what_was_adopted_follows_too(store: Store, label: str) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    said = Remembered(Role.USER, f"{label}before", "Bob", "theirs")
    other = Remembered(Role.USER, "another", "Bob", "other")
    await store.history.adopt(held, (said, other), Memory())
    assert await store.turns.amend("theirs", "after") == Amended(known=False)
    assert await _contents(store) == [f"{label}after", "another"]
    assert not await store.turns.withdraw("theirs")
    assert await store.turns.amend("theirs", "again") == Amended(known=False)
    assert await _contents(store) == [MARK, "another"]


async def _two_know_of_it(store: Store) -> tuple[Turn, Turn]:
    """ASKED is settled in its conversation; another one has adopted it, with a label."""
    await store.turns.accept(ASKED)
    asked = await store.claim()
    await store.say(asked, *SAID)
    await store.turns.finish(asked, State.SETTLED)
    await store.turns.accept(prompt(2, "elsewhere"))
    other = await store.claim()
    copied = Remembered(Role.USER, f"Ann: {ASKED.text}", "Ann", ME)
    await store.history.adopt(other, (copied,), Memory())
    return asked, other


async def test_a_question_that_another_conversation_adopted_is_deleted_there_too(
    store: Store,
) -> None:
    _, other = await _two_know_of_it(store)
    assert not await store.turns.withdraw(ME)
    assert await _contents(store) == [MARK, "Forty-two."]
    assert await _contents(store, other.prompt.thread) == [MARK]
    await store.turns.amend(ME, "again")
    assert await _contents(store, other.prompt.thread) == [MARK]


async def test_a_question_that_another_conversation_adopted_is_edited_there_too(
    store: Store,
) -> None:
    _, other = await _two_know_of_it(store)
    assert await store.turns.amend(ME, "after") == Amended(known=True)
    assert await _contents(store) == ["after", "Forty-two."]
    assert await _contents(store, other.prompt.thread) == ["Ann: after"]


async def test_what_two_conversations_adopted_keeps_the_label_of_each(store: Store) -> None:
    threads = (ThreadKey("one"), ThreadKey("two"))
    for number, (thread, label) in enumerate(zip(threads, ("", "Bob: "), strict=True)):
        await store.turns.accept(prompt(number, thread))
        held = await store.claim()
        said = Remembered(Role.USER, f"{label}before", "Bob", "theirs")
        await store.history.adopt(held, (said,), Memory())
    await store.turns.amend("theirs", "after")
    assert [await _contents(store, thread) for thread in threads] == [["after"], ["Bob: after"]]


async def test_deleted_while_it_waits_is_over_at_once(store: Store) -> None:
    await store.turns.accept(ASKED)
    await store.turns.accept(prompt(2))
    assert not await store.turns.withdraw(ME)
    assert (await store.database.read(_rows))[0] == (
        MARK,
        State.CANCELLED,
        "the prompt was deleted",
        True,
    )
    assert (await store.claim()).prompt.identity == prompt(2).identity


async def test_deleted_while_it_is_answered_only_taking_back_goes_on(store: Store) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    await store.turns.announce(held, 0)
    assert await store.turns.withdraw(ME)
    for write in (
        store.turns.renew(held, LEASE),
        store.turns.attempt(held),
        store.turns.announce(held, 1),
        store.turns.answer(held, COMPLETE, SAID, Memory()),
        store.turns.finish(held, State.SETTLED),
    ):
        with pytest.raises(Withdrawn):
            await write
    await store.turns.posted(held, 0, PartId("p0"))
    await store.turns.release(held)
    again = await store.claim()
    assert again.withdrawn
    assert [part.id for part in again.parts] == ["p0"]
    await store.turns.renew(again, LEASE)
    await store.turns.finish(again, State.CANCELLED, "gone")
    assert await store.database.read(_rows) == [(MARK, State.CANCELLED, "gone", True)]
    assert await _contents(store) == []


async def test_deleted_between_answer_and_settling_the_answer_leaves_the_history(
    store: Store,
) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    await store.turns.answer(held, FULL, SAID, Memory())
    assert await store.turns.withdraw(ME)
    with pytest.raises(Withdrawn):
        await store.turns.answer(held, FULL, SAID, Memory())
    with pytest.raises(Withdrawn):
        await store.turns.finish(held, State.SETTLED)
    store.clock.now += LEASE + 1
    again = await store.claim()
    assert again.withdrawn
    assert again.outcome
    assert (again.outcome.text, again.outcome.reasoning) == ("", "")
    assert await _contents(store) == [MARK, MARK]


async def test_deleted_when_settled_only_the_question_goes(store: Store) -> None:
    await store.turns.accept(ASKED)
    held = await store.claim()
    await store.say(held, *SAID)
    await store.turns.finish(held, State.SETTLED)
    assert not await store.turns.withdraw(ME)
    assert await store.database.read(_rows) == [(MARK, State.SETTLED, "", True)]
    assert await _contents(store) == [MARK, "Forty-two."]


async def test_nothing_brings_a_deleted_text_back(store: Store) -> None:
    await store.turns.accept(ASKED)
    await store.turns.withdraw(ME)
    assert await store.turns.amend(ME, "late") == Amended(known=True)
    assert not await store.turns.accept(ASKED)
    assert not await store.turns.withdraw(ME)
    assert [row[:2] for row in await store.database.read(_rows)] == [(MARK, State.CANCELLED)]


async def test_what_nobody_asked_changes_nothing(store: Store) -> None:
    await store.turns.accept(ASKED)
    assert await store.turns.amend("unknown", "text") == Amended(known=False)
    assert not await store.turns.withdraw("unknown")
    assert (await store.claim()).prompt.text == ASKED.text


@pytest.mark.parametrize("settled", [False, True])
async def test_the_file_holds_a_deleted_text_no_more(tmp_path: Path, settled: bool) -> None:
    secret = "the canary sings at noon " * 400  # more than a page
    path = tmp_path / "t.db"
    asked = prompt(1, text=secret, files=("canary.pdf",))
    async with opened(path) as store:
        await store.turns.accept(asked)
        if settled:
            held = await store.claim()
            await store.say(held, Remembered(Role.USER, secret, "Ann"), SAID[1])
            await store.turns.finish(held, State.SETTLED)
    assert _telling(tmp_path) == ["t.db"]
    async with opened(path) as store:
        await store.turns.withdraw(asked.identity)
        assert not _telling(tmp_path), "while it goes on"
    assert not _telling(tmp_path)


async def test_what_was_edited_away_is_in_no_file(path: Path, store: Store) -> None:
    await store.turns.accept(prompt(1, text="canary"))
    assert _telling(path.parent)
    await store.turns.amend(ME, "better")
    assert not _telling(path.parent)


async def test_what_was_only_read_and_then_deleted_is_in_no_file(path: Path, store: Store) -> None:
    await store.turns.accept(ASKED)
    read = Remembered(Role.USER, "canary", "Bob", "elsewhere:1")
    await store.history.adopt(await store.claim(), (read,), Memory())
    assert _telling(path.parent)
    assert not await store.turns.withdraw("elsewhere:1")
    assert not _telling(path.parent)


async def test_a_reader_that_stays_keeps_what_was_deleted_only_while_it_does(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_CUT_AGAIN", 0.0)
    await store.turns.accept(prompt(1, text="canary"))
    with closing(sqlite3.connect(path, isolation_level=None)) as backup:
        backup.execute("BEGIN")
        backup.execute("SELECT count(*) FROM turn").fetchall()
        assert not await store.turns.withdraw(ME)
        assert _telling(path.parent), "it reads the state before"
    assert await store.free_turn() is None  # any transaction
    assert not _telling(path.parent)
