"""The platform against the stand-in: at the start, what it is told, what it missed."""

import asyncio
from typing import Any

import pytest

from adapters.discord import connection
from adapters.discord.gateway import Gateway
from adapters.discord.missed import LATE
from core.errors import ConfigurationError, StoreBusy, Unreachable
from tests.adapters.discord.conftest import Inbox, Log, Make, until
from tests.adapters.discord.test_gateway import READ, ask, conversation, lines
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_app import MESSAGE_CONTENT
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_model import Channel
from tests.emulators.discord_rules import GUILD, MANAGED_ROLE, READ_HISTORY, TEXT, VIEW
from tests.emulators.discord_sessions import BAD_TOKEN, Close

LOGIN, COMMANDS = "GET /users/@me", "/applications/{app}/commands"


async def test_a_wrong_token_is_said_and_not_tried_again(
    discord: DiscordServer, make: Make
) -> None:
    made = make(bot_token="not.the.one")
    with pytest.raises(ConfigurationError, match="DISCORD_BOT_TOKEN: Discord refused it"):
        await made.connect()
    assert made.problem()
    assert [call.status for call in discord.record.calls] == [401]
    assert not discord.gateway.dialled


async def test_a_token_that_is_reset_while_running_ends_it(
    discord: DiscordServer, make: Make, log: Log
) -> None:
    made = make()
    await made.connect()
    discord.app.token = "another"
    await discord.gateway.drop()
    await until(lambda: lines(log, "discord.off"))
    assert made.problem().startswith("off: DISCORD_BOT_TOKEN")
    assert lines(log, "discord.off")[0]["level"] == "error"
    assert discord.gateway.close_codes == [4004]
    assert len(discord.gateway.dialled) == 2
    assert discord.record.invalid == 0


async def test_a_token_that_only_the_gateway_refuses_is_said_once(
    discord: DiscordServer, make: Make, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise Close(BAD_TOKEN)

    monkeypatch.setattr(discord.gateway, "_identify", refuse)
    made = make()
    with pytest.raises(ConfigurationError, match="DISCORD_BOT_TOKEN: Discord refused it"):
        await made.connect()
    assert discord.gateway.close_codes == [4004]
    assert made.problem().startswith("off: DISCORD_BOT_TOKEN")
    assert not lines(log, "discord.off"), "who connects says it"


async def test_message_content_switched_off_while_running_and_trouble_on_the_way_back(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    made = make()
    await made.connect()
    ask(discord, "one")
    await inbox.holds("one")
    discord.app.intents = 0
    discord.faults.add(Fault(LOGIN, times=2, cut="before"))
    discord.gateway.mood = "unready"
    await discord.gateway.drop(4014)
    ask(discord, "two")
    await until(lambda: "down" in made.problem())
    await until(lambda: len(discord.gateway.identifies) == 2)
    discord.gateway.mood = ""
    await inbox.holds("one", "two", within=15)
    first, second, third = discord.gateway.identifies
    assert second - first >= 5
    assert third - second >= 5
    assert lines(log, "discord.no_message_content")
    assert lines(log, "discord.not_connected"), "one login came to nothing"
    await until(lambda: not made.problem())
    assert not discord.app.intents & MESSAGE_CONTENT


async def test_the_token_reset_while_message_content_is_refused(
    discord: DiscordServer, make: Make, log: Log
) -> None:
    made = make()
    await made.connect()
    discord.app.token = "another"
    await discord.gateway.drop(4014)
    await until(lambda: made.problem().startswith("off: DISCORD_BOT_TOKEN"))
    assert lines(log, "discord.off")


async def test_all_of_discord_down_at_the_start(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    await discord.go_away()
    for _ in range(2):
        with pytest.raises(Unreachable):
            await made.connect()
    assert made.problem() == "not connected"
    await discord.come_back()
    assert (await made.connect()).startswith("as threadseek in 1 server\ninvite it: https://")
    ask(discord, "there?")
    await inbox.holds("there?")


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Gateway]:
    """The clients that were made."""
    made: list[Gateway] = []

    def build(**given: Any) -> Gateway:
        made.append(Gateway(**given))
        return made[-1]

    monkeypatch.setattr(connection, "Gateway", build)
    return made


async def test_a_page_of_something_in_between_at_the_login(
    discord: DiscordServer, make: Make, clients: list[Gateway]
) -> None:
    """With a status of success: discord.py takes it for the answer."""
    made = make()
    discord.faults.add(Fault(LOGIN))  # our own
    discord.faults.add(Fault(LOGIN, status=200))
    with pytest.raises(Unreachable, match=r"what Discord answered .* a proxy in between"):
        await made.connect()
    await made.connect()
    assert [client.is_closed() for client in clients] == [True, False]


async def test_an_end_in_the_middle_of_the_login_leaves_nothing_open(
    discord: DiscordServer, make: Make, clients: list[Gateway]
) -> None:
    made = make()
    discord.faults.add(Fault(LOGIN))
    discord.faults.add(Fault(LOGIN, delay=5.0))
    connecting = asyncio.create_task(made.connect())
    await until(lambda: clients)
    await asyncio.sleep(0.1)
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    await made.close()
    assert [client.is_closed() for client in clients] == [True]


ODD: list[tuple[str, Any]] = [
    ("MESSAGE_CREATE", {"id": "1"}),
    ("MESSAGE_CREATE", {"id": "5", "channel_id": "6", "author": {"id": "7"}, "type": []}),
    ("MESSAGE_CREATE", [1, 2]),
    ("MESSAGE_CREATE", {"id": {}, "channel_id": None, "mentions": {"id": 3}}),
    ("INTERACTION_CREATE", {"id": "1", "data": []}),
    ("INTERACTION_CREATE", 7),
    ("GUILD_CREATE", {"id": "8", "roles": [{}]}),
    ("GUILD_DELETE", {}),
    ("CHANNEL_CREATE", {"guild_id": GUILD, "type": "text"}),
    ("THREAD_LIST_SYNC", {"guild_id": GUILD}),
    ("RESUMED", None),
    ("SOMETHING_NEW", {"id": 1}),
]


async def test_events_that_are_not_as_described_are_left_out(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    await make().connect()
    expected = []
    for number, (name, body) in enumerate(ODD):
        discord.gateway.send_raw(name, body)
        expected.append(f"question {number}")
        ask(discord, expected[-1])
        await inbox.holds(*expected)
    assert len(lines(log, "discord.event_not_parsed")) >= 6
    assert "question" not in str(log)
    assert discord.gateway.identified == 1


async def test_a_mistake_of_ours_costs_one_message_only(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    await make().connect()
    inbox.fail = [ValueError("a question's text")]
    ask(discord, "one")
    ask(discord, "two")
    await inbox.holds("two")
    assert lines(log, "discord.broken")
    assert "a question's text" not in str(log)


async def test_what_was_asked_while_nobody_listened_is_taken_once(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    world = discord.world
    first = make()
    await first.connect()
    direct = world.direct("alice")
    world.say("alice", direct, "d1", ago=LATE + 360)
    await inbox.holds("d1")
    chat = world.open_thread("bob", world.say("bob", "general", "A root"), "Chat")
    world.say("bob", chat, "a remark before anybody asked", ago=LATE + 300)
    world.say("alice", chat, f"{discord.mention} t1", ago=LATE + 240)
    await inbox.holds("d1", "t1")
    await first.close()
    world.say("alice", chat, "t2")
    world.say("alice", direct, "d2")
    world.say("bob", "general", "not for the bot")
    world.say("bob", "random", f"<@&{MANAGED_ROLE}> c1")
    post = world.forum_post("bob", "help", "Broken", "It fails.")
    world.say("alice", post, f"{discord.mention} f1")
    world.say("alice", "general", f"{discord.mention} too old", ago=LATE + 60)
    discord.gateway.send_raw("MESSAGE_CREATE", {})
    await make().connect()
    ask(discord, "live")
    await until(lambda: len(inbox.taken) >= 8)
    assert sorted(inbox.texts[2:]) == ["c1", "d2", "f1", "live", "t2", "too old"]
    assert inbox.texts[-1] == "live", "what is new waits for what was missed"
    late = {prompt.text: prompt.late for prompt in inbox.taken}
    assert [text for text, is_late in late.items() if is_late] == ["too old"]
    by_text = {prompt.text: prompt for prompt in inbox.taken}
    assert by_text["f1"].thread.endswith(post)
    assert by_text["t2"].thread == by_text["t1"].thread
    assert by_text["t2"].follow_up
    assert world.channel("help").id not in {
        c.names["channel"] for c in discord.record.called_with(READ)
    }
    assert not [call for call in discord.record.calls if 400 <= call.status < 500]


async def test_the_very_first_start_reads_nothing_back(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    ask(discord, "long before")
    await make().connect()
    ask(discord, "now")
    await inbox.holds("now")
    assert not discord.record.called_with(READ)


async def test_what_was_said_before_we_came_is_left_alone(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    await made.connect()
    discord.world.say("bob", discord.world.direct("bob"), "known")
    await inbox.holds("known")
    discord.world.kick_bot()
    await made.close()
    discord.world.say("alice", "general", f"{discord.mention} before", ago=5)
    discord.world.invite_bot()
    discord.world.say("alice", "random", f"{discord.mention} after")
    await make().connect()
    await inbox.holds("known", "after")
    ask(discord, "live")
    await inbox.holds("known", "after", "live")


async def test_places_that_we_may_not_read_are_not_asked_for(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    world = discord.world
    made = make()
    await made.connect()
    thread = conversation(discord, "one")
    await inbox.holds("one")
    gone = world.open_thread("bob", "random", "Gone")
    world.say("bob", gone, f"{discord.mention} two")
    await inbox.holds("one", "two")
    await made.close()
    for number in range(5):
        name = f"secret-{number}"
        world.add_channel(name)
        world.deny(name, VIEW if number % 2 else READ_HISTORY)
        world.say("alice", name, f"{discord.mention} hidden")
    world.deny("random", VIEW)
    world.say("alice", thread, "three")
    await make().connect()
    await inbox.holds("one", "two", "three")
    refused = [call for call in discord.record.calls if call.status in (403, 404)]
    # A thread of ours that we can't see any more is in no list; that is found out once.
    assert [call.names.get("channel") for call in refused] == [gone]
    names = {world.channels[c.names["channel"]].name for c in discord.record.called_with(READ)}
    assert not any(name.startswith("secret") for name in names)


async def test_a_server_that_we_were_removed_from_is_not_asked_for(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    await made.connect()
    conversation(discord, "one")
    await inbox.holds("one")
    await made.close()
    discord.world.kick_bot()
    await make().connect()
    discord.world.say("bob", discord.world.direct("bob"), "two")
    await inbox.holds("one", "two")
    assert not discord.record.called_with(READ)


async def test_a_store_in_trouble_delays_what_was_missed_and_loses_nothing(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    await made.connect()
    ask(discord, "one")
    await inbox.holds("one")
    await made.close()
    ask(discord, "two")
    inbox.blind = [StoreBusy("locked"), StoreBusy("locked")]
    inbox.fail = [StoreBusy("locked")]
    discord.faults.add(Fault(READ, status=503))
    await make().connect()
    ask(discord, "three")
    await inbox.holds("one", "two", "three")


async def test_commands_are_written_when_they_change_and_never_stop_the_bot(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    def puts() -> int:
        return len(discord.record.called_with(f"PUT {COMMANDS}"))

    for _ in range(2):
        made = make()
        await made.connect()
        await made.close()
    assert puts() == 1
    next(iter(discord.app.commands.values()))["description"] = "Something else"
    discord.faults.add(Fault(f"PUT {COMMANDS}", status=500))
    made = make()
    await made.connect()
    assert lines(log, "discord.commands_not_registered")
    ask(discord, "still here?")
    await inbox.holds("still here?")
    await made.close()
    await make().connect()
    assert puts() == 3
    assert len(discord.app.commands) == 4


async def test_a_server_joined_while_running(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    discord.world.kick_bot()
    said = await make().connect()
    assert "in no server yet" in said
    discord.world.invite_bot()
    ask(discord, "one")
    discord.world.say("bob", "general", f"<@&{MANAGED_ROLE}> two")
    await inbox.holds("one", "two")


async def test_a_channel_nobody_told_us_of_is_looked_up(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world = discord.world
    id_ = world.snowflake()
    world.channels[id_] = Channel(id_, TEXT, "new", GUILD)
    asked = world.say("alice", id_, f"{discord.mention} one")
    world.say("alice", id_, "nothing for us")
    await inbox.holds("one")
    assert inbox.taken[0].thread.endswith(asked), "it will be a thread on the question"
    assert len(discord.record.called_with("GET /channels/{channel}")) == 1
