"""Shards shared out among processes: one connection each, handed on, lost, counted anew."""

import asyncio
import time
from typing import Any

from adapters.discord.app import STANDBY, DiscordPlatform
from adapters.discord.calls import Api
from adapters.discord.connection import Connection, Ends
from adapters.discord.posts import Posts
from adapters.discord.session import Account
from adapters.discord.shards import MARGIN
from adapters.discord.starts import Starts
from core.errors import StoreBusy
from core.seats import Seat
from core.store.sql import SqlSeats
from tests.adapters.discord.conftest import US, Inbox, Log, Make, until
from tests.adapters.discord.test_gateway import lines
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import GUILD
from tests.fakes.store import InlineDatabase

OTHER = str(int(GUILD) + (1 << 22))
"""A server on the other one of two shards."""
MINE = (int(GUILD) >> 22) % 2
QUICK = 6.0
"""Seconds of a lease, of which three are the margin."""


class Replicas:
    """Platforms of one bot with one database, as several processes would have."""

    def __init__(self, make: Make) -> None:
        self.database = InlineDatabase()
        self._make = make
        self._count = 0

    def one(self, **changes: Any) -> DiscordPlatform:
        self._count += 1
        seats = SqlSeats(self.database, f"replica {self._count}", time.monotonic)
        return self._make(**({"seats": seats} | changes))


def shards(discord: DiscordServer) -> list[tuple[int, int]]:
    """Of the sessions that are connected."""
    return sorted(session.shard for session in discord.gateway.sessions if session.link)


async def test_the_second_process_is_on_standby_and_takes_over_when_the_first_stops(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    replicas = Replicas(make)
    first, second = replicas.one(), replicas.one()
    assert "in 1 server" in await first.connect()
    assert "standby" in await second.connect()
    assert (first.problem(), second.problem()) == ("", STANDBY)
    used = discord.interactions.slash("alice", "general", "ask", prompt="one")
    await inbox.holds("one")
    assert used.refused_again == 0
    assert shards(discord) == [(0, 1)]
    await first.close()
    assert shards(discord) == []
    asked = discord.world.say("alice", "general", f"{discord.mention} two")
    await until(lambda: second.problem() == "", 15)
    await inbox.holds("one", "two")
    assert asked in inbox.taken[-1].identity
    assert shards(discord) == [(0, 1)]
    assert len(discord.gateway.identifies) == 2


async def test_two_shards_in_one_process_hear_what_is_theirs(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    discord.gateway.shards = discord.gateway.buckets = 2
    discord.world.add_guild("other", OTHER)
    made = make()
    assert "in 2 servers" in await made.connect()
    assert shards(discord) == [(0, 2), (1, 2)]
    for number, place in enumerate(("general", "other", discord.world.direct("alice"))):
        discord.world.say("alice", place, f"{discord.mention} {number}")
        await inbox.holds(*map(str, range(number + 1)))
    assert not made.problem()


async def test_each_shard_reads_back_its_own_places_alone(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    discord.gateway.shards = discord.gateway.buckets = 2
    discord.world.add_guild("other", OTHER)
    direct = discord.world.direct("alice")
    places = ["general", "other", direct]
    first = make()
    await first.connect()
    for place in places:
        discord.world.say("alice", place, f"{discord.mention} {place}")
    await until(lambda: len(inbox.taken) == 3)
    await first.close()
    for place in places:
        discord.world.say("alice", place, f"{discord.mention} missed in {place}")
    discord.record.calls.clear()
    await make().connect()
    await until(lambda: len(inbox.taken) == 6)
    missed = [prompt.text for prompt in inbox.taken[3:]]
    assert sorted(missed) == sorted(f"missed in {place}" for place in places)
    read = [
        call.names["channel"]
        for call in discord.record.calls
        if call.route == "GET /channels/{channel}/messages"
    ]
    assert sorted(read) == sorted({*read}), "none by both shards"


async def test_a_place_that_is_new_is_read_back_though_only_others_are_known(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    discord.gateway.shards = discord.gateway.buckets = 2
    discord.world.add_guild("other", OTHER)
    first = make()
    await first.connect()
    discord.world.say("alice", "general", f"{discord.mention} one")
    await inbox.holds("one")
    await first.close()
    discord.world.say("alice", "other", f"{discord.mention} the first there")
    await make().connect()
    await inbox.holds("one", "the first there")


async def test_a_newcomer_gets_its_share(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    discord.gateway.shards = discord.gateway.buckets = 2
    replicas = Replicas(make)
    first, second = replicas.one(lease=QUICK), replicas.one(lease=QUICK)
    await first.connect()
    assert "standby" in await second.connect()
    await until(lambda: second.problem() == "", 15)
    assert shards(discord) == [(0, 2), (1, 2)]
    held = [tuple(line["ours"]) for line in lines(log, "discord.shards")]
    assert held[0] == (0, 1)
    assert held[-1] == (1,)
    discord.world.say("alice", "general", f"{discord.mention} one")
    await inbox.holds("one")


async def test_a_seat_that_cannot_be_renewed_is_left_before_its_lease_ends(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    replicas = Replicas(make)
    made = replicas.one(lease=QUICK)
    await made.connect()
    await asyncio.sleep(QUICK - MARGIN + 0.5)
    assert not lines(log, "discord.seat_lost"), "it is renewed"
    broken = time.monotonic()
    replicas.database.broken = StoreBusy("the disk is full")
    await until(lambda: not shards(discord), QUICK)
    assert time.monotonic() - broken < QUICK - 2, "well before"
    assert lines(log, "discord.seat_lost")
    assert "the disk is full" in made.problem()
    discord.world.say("alice", "general", f"{discord.mention} meanwhile")
    replicas.database.broken = None
    await until(lambda: made.problem() == "", 15)
    assert shards(discord) == [(0, 1)]


async def test_an_event_that_comes_after_the_lease_is_not_taken(
    discord: DiscordServer, api: Api, inbox: Inbox, make: Make
) -> None:
    """A process may be paused between reading it and taking it."""
    await make().connect()  # registers the commands
    seats, tasks = SqlSeats(InlineDatabase(), "other", time.monotonic), set[asyncio.Task[None]]()

    def keep(work: Any, _among: Any) -> asyncio.Task[None]:
        tasks.add(task := asyncio.create_task(work))
        return task

    account = Account(discord.app.token, discord.gateway_url, known=US)
    ends = Ends(account, api, inbox, inbox, Posts(), Starts(api, seats, "discord:1"), keep)
    now = asyncio.get_running_loop().time()
    connection = Connection(ends, Seat(0, 1, 1), now - 0.001)
    used = discord.interactions.slash("alice", "general", "help")
    connection.on_event("INTERACTION_CREATE", used.body)
    assert not tasks
    connection.extend(now + 60)
    connection.on_event("INTERACTION_CREATE", used.body)
    assert len(tasks) == 1
    await asyncio.gather(*tasks)


async def test_too_many_servers_a_shard_is_answered_with_more_shards(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    discord.world.add_guild("other", OTHER)
    discord.gateway.servers = 1
    discord.gateway.shards = discord.gateway.buckets = 2
    assert "in 2 servers" in await make(shards=1).connect()
    assert discord.gateway.close_codes == [4011]
    assert shards(discord) == [(0, 2), (1, 2)]
    assert lines(log, "discord.more_shards")[0]["now"] == 2
    discord.world.say("alice", "other", f"{discord.mention} one")
    await inbox.holds("one")


async def test_a_process_that_wants_more_shards_moves_all(
    discord: DiscordServer, make: Make
) -> None:
    discord.gateway.buckets = 2
    replicas = Replicas(make)
    first, second = replicas.one(shards=1, lease=6.0), replicas.one(shards=2, lease=6.0)
    await first.connect()
    await second.connect()
    await until(lambda: (first.problem(), second.problem()) == ("", ""), 20)
    assert shards(discord) == [(0, 2), (1, 2)]
    assert {count for session in discord.gateway.sessions for count in session.shard[1:]} == {2}


async def test_sessions_of_two_processes_are_begun_one_after_the_other(
    make: Make, inbox: Inbox
) -> None:
    async with DiscordServer() as discord:
        discord.gateway.shards = 2
        replicas = Replicas(make)
        urls = {"api_url": discord.api_url, "gateway_url": discord.gateway_url}
        made = replicas.one(**urls)
        await made.connect()
        first, second = discord.gateway.identifies
        assert second - first >= 5
        assert discord.gateway.identified == 2, "none was refused for coming too soon"
        await made.close()


async def test_no_session_is_begun_when_the_days_are_used_up(
    discord: DiscordServer, make: Make, log: Log
) -> None:
    discord.gateway.identify_limit = 0
    discord.gateway.resets_in = 100
    made = make()
    connecting = asyncio.create_task(made.connect())
    await until(lambda: lines(log, "discord.no_sessions_left"))
    assert not discord.gateway.dialled
    discord.gateway.identify_limit = 10
    await connecting
    assert len(discord.gateway.identifies) == 1


async def test_who_dies_is_replaced_when_its_lease_ends(discord: DiscordServer, make: Make) -> None:
    replicas = Replicas(make)
    dead = SqlSeats(replicas.database, "dead", time.monotonic)
    taken = time.monotonic()
    assert (await dead.look(f"discord:{discord.app.id}", 1, 3.0)).held
    made = replicas.one()
    assert "standby" in await made.connect()
    await until(lambda: made.problem() == "", 10)
    assert discord.gateway.identifies[0] - taken >= 3.0
