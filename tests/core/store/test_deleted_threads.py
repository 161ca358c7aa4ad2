"""A thread that is deleted whole: what goes with it, and what doesn't."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from core.errors import Withdrawn
from core.lifecycle import WITHDRAWN, State
from core.ports import Turn
from core.store import edits, places
from core.store.edits import MARK
from core.store.inbox import MOST_OPEN
from core.store.schema import turn
from core.store.statements import ERASED
from core.types import Memory, PartId, Remembered, Role, ThreadKey
from tests.core.store.making import LEASE, THREAD, Store, prompt, settle_many, traced

OTHER = ThreadKey("slack:T1:C1:200")
ME = prompt(1).identity


def _rows(conn: Connection) -> dict[str, tuple[str, str, str]]:
    columns = (turn.c.identity, turn.c.text, turn.c.state, turn.c.reason)
    return {identity: (*row,) for identity, *row in conn.execute(select(*columns))}


async def _claimed(store: Store, number: int, thread: str = THREAD) -> Turn:
    await store.turns.accept(prompt(number, thread))
    return await store.claim()


async def _contents(store: Store, thread: ThreadKey) -> list[str]:
    return [entry.content for entry in (await store.history.load(thread)).messages]


async def test_a_question_that_it_read_elsewhere_is_answered_all_the_same(store: Store) -> None:
    """As a thread's first question replied to another one, in the channel."""
    asked = await _claimed(store, 1)
    await store.turns.announce(asked, 0)
    reply = await _claimed(store, 2, OTHER)
    read = Remembered(Role.USER, prompt(1).text, "Ann", ME)
    await store.history.adopt(reply, (read,), Memory())
    await store.say(reply)
    assert await store.turns.withdraw_thread(OTHER) == (reply.prompt.identity,)
    assert await _contents(store, OTHER) == [MARK, MARK, MARK]
    await store.turns.renew(asked, LEASE)
    await store.say(asked)
    assert (await store.database.read(_rows))[ME] == (prompt(1).text, State.ANSWERED, "")


async def test_what_others_read_in_the_same_place_stays(store: Store) -> None:
    read = Remembered(Role.USER, "the alert", "Bob", "alert")
    for number, thread in enumerate((THREAD, OTHER)):
        held = await _claimed(store, number, thread)
        await store.history.adopt(held, (read,), Memory())
    await store.turns.withdraw_thread(OTHER)
    assert await _contents(store, OTHER) == [MARK]
    assert await _contents(store, THREAD) == ["the alert"]


async def test_what_was_read_in_it_before_is_not_stored_afterwards(store: Store) -> None:
    """Its first question was being prepared when it was deleted."""
    held = await _claimed(store, 1)
    read = Remembered(Role.USER, "the alert", "Bob", "alert")
    assert await store.turns.withdraw_thread(THREAD) == (held.prompt.identity,)
    with pytest.raises(Withdrawn):
        await store.history.adopt(held, (read,), Memory())
    kept = await store.history.load(THREAD)
    assert (kept.messages, kept.fresh) == ((), True)
    await store.turns.finish(replace(held, withdrawn=True), State.CANCELLED)


async def test_a_question_in_it_is_overwritten_where_others_read_it(store: Store) -> None:
    await _claimed(store, 1)
    other = await _claimed(store, 2, OTHER)
    await store.history.adopt(other, (Remembered(Role.USER, "asked", "Ann", ME),), Memory())
    await store.turns.withdraw_thread(THREAD)
    assert await _contents(store, OTHER) == [MARK]


async def test_every_turn_in_it_ends_as_if_it_were_deleted_by_itself(store: Store) -> None:
    settled = await _claimed(store, 1)
    await store.say(settled)
    await store.turns.finish(settled, State.SETTLED)
    answered = await _claimed(store, 2)
    await store.say(answered)
    for number in range(3, MOST_OPEN + 3):
        await store.turns.accept(prompt(number))
    refused = await store.claim()
    assert refused.crowded
    await store.turns.announce(refused, 0)
    await store.turns.posted(refused, 0, PartId("p0"))
    neighbours = [prompt(0, f"{THREAD}{more}") for more in ("1", "$", '"')]
    for neighbour in neighbours:
        await store.turns.accept(neighbour)
    open_ = {answered.prompt.identity, refused.prompt.identity}
    for _ in "ab":  # told twice, it says the same
        assert set(await store.turns.withdraw_thread(THREAD)) == open_
        rows = await store.database.read(_rows)
        for neighbour in neighbours:
            assert rows.pop(neighbour.identity) == (neighbour.text, State.RECEIVED, "")
        assert rows.pop(settled.prompt.identity) == (MARK, State.SETTLED, "")
        assert rows.pop(answered.prompt.identity) == (MARK, State.ANSWERED, "")
        assert rows.pop(refused.prompt.identity) == (MARK, State.CLAIMED, "")
        assert set(rows.values()) == {(MARK, State.CANCELLED, WITHDRAWN)}
        assert len(rows) == MOST_OPEN - 1
        assert await _contents(store, THREAD) == [MARK, "Forty-two.", MARK, MARK]
    await store.turns.release(answered)
    again = await store.claim()
    assert (again.prompt.identity, again.withdrawn) == (answered.prompt.identity, True)
    assert again.outcome
    assert again.outcome.text == ""


@pytest.mark.parametrize("thread", ["none", OTHER])
async def test_where_there_is_nothing_to_erase_nothing_is(store: Store, thread: str) -> None:
    """So no log is emptied for each thread that somebody deletes anywhere."""

    def erases(conn: Connection) -> object:
        conn.info.pop(ERASED, None)
        told = edits.withdraw_thread(conn, ThreadKey(thread), 1.0)
        return (told, conn.info.get(ERASED))

    await store.turns.accept(prompt(1, OTHER))
    await store.turns.withdraw_thread(OTHER)
    assert await store.database.write(erases) == ((), None)


async def test_the_threads_of_a_place_are_told_by_their_addresses(store: Store) -> None:
    """In a range of keys, by any of their prompts, and also by one that was refused."""
    here, there = '{"channel":"20","parent":""}', '{"channel":"5","parent":"20"}'
    elsewhere = '{"channel":"200","parent":"%20%","opens":"\\"channel\\":\\"20\\""}'
    for number, address in enumerate((here, there, elsewhere, elsewhere)):
        await store.turns.accept(prompt(number, f"discord:9:{number}", address=address))
    await store.turns.accept(prompt(8, "discord:9:3", address=there))
    for number, thread in enumerate(("discord:90:1", "discord:9", "discord:8:1", "slack:9:1")):
        await store.turns.accept(prompt(number, thread, address=here))
    naming = ('"channel":"20"', '"parent":"20"')
    found = await store.turns.threads("discord:9:", naming)
    assert sorted(found) == ["discord:9:0", "discord:9:1", "discord:9:3"]
    assert await store.turns.threads("discord:9:", ('"channel":"2"',)) == ()


async def test_the_threads_of_a_place_are_looked_for_in_its_range_only(store: Store) -> None:
    def steps(conn: Connection) -> list[str]:
        settle_many(conn, 100)
        with traced(conn) as seen:
            places.threads(conn, "old 7", ("C1",))
        plans = [conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all() for sql in seen]
        return [step.detail for plan in plans for step in plan]

    found = await store.database.write(steps)
    assert any("(thread>? AND thread<?)" in step for step in found)
    assert not [step for step in found if step.startswith("SCAN")]


async def test_all_of_it_is_found_by_index(store: Store) -> None:
    """Never by an index of all that was ever read from a platform: it has no turn, as all of it."""

    def steps(conn: Connection) -> list[str]:
        settle_many(conn, 100)
        with traced(conn) as seen:
            edits.withdraw_thread(conn, ThreadKey("old 7"), 1.0)
        plans = [conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all() for sql in seen]
        return [step.detail for plan in plans for step in plan]

    found = await store.database.write(steps)
    assert "SEARCH message USING PRIMARY KEY (conversation_id=?)" in found
    assert "SEARCH message USING INDEX ix_message_adopted (identity=?)" in found
    assert any("(thread>? AND thread<?)" in step for step in found)
    assert not [step for step in found if step.startswith("SCAN")]
