"""Seats: held by one, shared fairly, given on, and never of two sizes at once."""

import pytest

from core.seats import Seat, Seats
from core.store.sql import SqlSeats
from tests.core.store.making import Store

SCOPE = "discord:1"
LEASE = 15.0
HOUR = 3_600.0


def process(store: Store, name: str) -> Seats:
    """The seats as one process takes them."""
    return SqlSeats(store.database, name, store.clock)


def numbers(held: frozenset[Seat]) -> list[int]:
    return sorted(seat.number for seat in held)


async def test_one_process_takes_every_seat(store: Store) -> None:
    seating = await process(store, "a").look(SCOPE, 3, LEASE)
    assert (seating.size, seating.share, seating.living) == (3, 3, 1)
    assert numbers(seating.held) == [0, 1, 2]
    assert {seat.size for seat in seating.held} == {3}


async def test_a_seat_is_held_by_one_until_its_lease_ends(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    first = await one.look(SCOPE, 1, LEASE)
    assert not (await other.look(SCOPE, 1, LEASE)).held
    store.clock.now += LEASE - 1
    assert await one.renew(SCOPE, LEASE) == first.held
    store.clock.now += LEASE - 1
    assert not (await other.look(SCOPE, 1, LEASE)).held
    store.clock.now += 1
    assert numbers((await other.look(SCOPE, 1, LEASE)).held) == [0]
    assert await one.renew(SCOPE, LEASE) == frozenset(), "lost"


async def test_a_lease_that_ran_out_is_not_held_on(store: Store) -> None:
    one = process(store, "a")
    first = await one.look(SCOPE, 1, LEASE)
    store.clock.now += LEASE
    assert await one.renew(SCOPE, LEASE) == frozenset()
    again = await one.look(SCOPE, 1, LEASE)
    assert [s.fence for s in again.held] == [s.fence + 1 for s in first.held], "taken anew"


async def test_a_newcomer_gets_its_share_when_it_is_let_go_of(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    seats = sorted((await one.look(SCOPE, 3, LEASE)).held, key=lambda seat: seat.number)
    newcomer = await other.look(SCOPE, 3, LEASE)
    assert (newcomer.share, newcomer.living, newcomer.held) == (2, 2, frozenset())
    told = await one.look(SCOPE, 3, LEASE)
    assert (told.share, len(told.held)) == (2, 3), "nothing is taken away"
    await one.release(SCOPE, seats[2])
    assert numbers((await one.look(SCOPE, 3, LEASE)).held) == [0, 1], "nor taken back"
    assert numbers((await other.look(SCOPE, 3, LEASE)).held) == [2]


async def test_only_what_is_held_can_be_let_go_of(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    (old,) = (await one.look(SCOPE, 1, LEASE)).held
    await other.release(SCOPE, old)
    store.clock.now += LEASE
    (new,) = (await one.look(SCOPE, 1, LEASE)).held
    await one.release(SCOPE, old)
    assert await one.renew(SCOPE, LEASE) == {new}


async def test_who_leaves_is_replaced_at_once_and_counts_no_more(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    await one.look(SCOPE, 2, LEASE)
    await one.leave(SCOPE)
    seating = await other.look(SCOPE, 2, LEASE)
    assert (seating.living, numbers(seating.held)) == (1, [0, 1])


async def test_who_is_dead_counts_no_more(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    await one.look(SCOPE, 2, LEASE)
    assert (await other.look(SCOPE, 2, LEASE)).living == 2
    store.clock.now += LEASE
    assert (await other.look(SCOPE, 2, LEASE)).living == 1


async def test_a_clock_set_back_leaves_the_seats_of_the_dead_one_lease_more(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    await one.look(SCOPE, 1, LEASE)
    await one.reserve(SCOPE, "0", "x", 30)
    store.clock.now -= HOUR
    seating = await other.look(SCOPE, 1, LEASE)
    assert (seating.living, seating.held) == (2, frozenset()), "its holder may be alive"
    assert await other.reserve(SCOPE, "0", "x", 5), "nobody reserves for that long"
    store.clock.now += LEASE
    seating = await other.look(SCOPE, 1, LEASE)
    assert (seating.living, numbers(seating.held)) == (1, [0])


async def test_a_clock_set_back_takes_no_seat_from_who_is_alive(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    first = await one.look(SCOPE, 1, LEASE)
    store.clock.now -= HOUR
    for _ in range(3):
        assert not (await other.look(SCOPE, 1, LEASE)).held
        store.clock.now += LEASE - 1
        assert await one.renew(SCOPE, LEASE) == first.held
        assert (await one.look(SCOPE, 1, LEASE)).living == 2


async def test_the_largest_wish_counts_and_no_two_sizes_are_held_at_once(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    await one.look(SCOPE, 1, LEASE)
    waiting = await other.look(SCOPE, 2, LEASE)
    assert (waiting.size, waiting.held) == (2, frozenset()), "the one of another size is held"
    moving = await one.look(SCOPE, 1, LEASE)
    assert moving.size == 2
    assert {seat.size for seat in moving.held} == {1}, "still: it is for its holder to let go"
    for seat in moving.held:
        await one.release(SCOPE, seat)
    assert numbers((await other.look(SCOPE, 2, LEASE)).held) == [0]
    assert numbers((await one.look(SCOPE, 1, LEASE)).held) == [1]
    await other.leave(SCOPE)
    assert (await one.look(SCOPE, 1, LEASE)).size == 1, "the wish went with who had it"


async def test_a_name_is_kept_until_its_time_and_no_seat(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    assert await one.reserve(SCOPE, "0", "x", 30)
    assert not await other.reserve(SCOPE, "0", "x", 30)
    assert not await one.reserve(SCOPE, "0", "y", 30), "one of us is not the other"
    assert await other.reserve(SCOPE, "1", "x", 30), "another name"
    assert await one.reserve(SCOPE, "0", "x", 5), "shortened"
    store.clock.now += 5
    assert await other.reserve(SCOPE, "0", "x", 30)
    assert await other.reserve(SCOPE, "0", "x", 0), "given back"
    assert await one.reserve(SCOPE, "0", "x", 30)
    assert (await one.renew(SCOPE, LEASE)) == frozenset()
    assert numbers((await one.look(SCOPE, 1, LEASE)).held) == [0]


async def test_scopes_are_apart(store: Store) -> None:
    one, other = process(store, "a"), process(store, "b")
    await one.look("discord:1", 1, LEASE)
    assert numbers((await other.look("discord:12", 1, LEASE)).held) == [0]
    assert numbers((await other.look("discord_1", 1, LEASE)).held) == [0], "_ is no pattern"
    await one.leave("discord:1")
    assert len(await other.renew("discord:12", LEASE)) == 1


async def test_who_is_alone_frees_what_the_dead_held(store: Store) -> None:
    dead, one = SqlSeats(store.database, "a", store.clock), SqlSeats(store.database, "b")
    await dead.look(SCOPE, 2, LEASE)
    await dead.reserve(SCOPE, "0", "x", 30)
    if not store.database.exclusive:
        with pytest.raises(ValueError, match="sole use"):
            await one.take_over()
        return
    await one.take_over()
    seating = await process(store, "b").look(SCOPE, 2, LEASE)
    assert (seating.living, numbers(seating.held)) == (1, [0, 1])
    assert not await process(store, "b").reserve(SCOPE, "0", "x", 30), "Discord goes by its clock"
