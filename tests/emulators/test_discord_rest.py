"""The Discord stand-in's REST side: the real client is served, and what Discord refuses is too."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest

from tests.emulators import discord_rules as rules
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_app import App
from tests.emulators.discord_calls import AGENT, WRITE, call, signed_in, text_channel
from tests.emulators.discord_rules import BOT, DM, FORUM, GUILD

EDIT = "PATCH /channels/{channel}/messages/{message}"
QUIET = discord.AllowedMentions.none()


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(unlimited=True, scale=0.001) as running:
        yield running


@pytest.fixture
async def client(server: DiscordServer) -> AsyncIterator[discord.Client]:
    async with signed_in(server) as ready:
        yield ready


async def test_the_client_logs_in_and_finds_its_place(
    server: DiscordServer, client: discord.Client
) -> None:
    assert client.user is not None and str(client.user.id) == BOT
    assert (await client.application_info()).id == int(server.app.id)
    guild = await client.fetch_guild(int(GUILD))
    kinds = {channel.name: channel.type.value for channel in await guild.fetch_channels()}
    assert kinds == {"general": 0, "random": 0, "news": 5, "help": FORUM, "voice": 2}
    managed = [role for role in guild.roles if role.is_bot_managed()]
    assert [str(role.tags.bot_id) for role in managed if role.tags] == [BOT]
    alice = await guild.fetch_member(int(server.world.user("alice").id))
    assert (await alice.create_dm()).type.value == DM


async def test_a_message_is_written_rewritten_and_deleted(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    message = await channel.send(" one ", file=discord.File(__file__, "a.py"))
    assert [each.filename for each in message.attachments] == ["a.py"]
    await message.edit(content="```two")
    await message.edit(content="one")
    assert server.record.visible("general") == ["one"]
    await message.delete()
    id_ = str(message.id)
    states = server.record.history(id_)
    assert [state.text for state in states] == ["one", "```two", "one", None]
    assert [state.edited for state in states] == [False, True, True, False]
    assert server.record.broken_fences() == [(id_, states[1])]
    assert server.record.went_back(id_) == [states[2]]
    assert server.record.visible("general") == [] and server.record.bot_messages() == [id_]
    calls = server.record.called_with(EDIT)
    assert [each.body["content"] for each in calls] == ["```two", "one"]
    assert calls[0].names == {"channel": str(channel.id), "message": id_} and calls[0].effect


async def test_pings_follow_allowed_mentions_and_edits_rebuild_them(
    server: DiscordServer, client: discord.Client
) -> None:
    world, channel = server.world, await text_channel(client, server, "general")
    alice, readers = world.user("alice").id, world.add_role("readers", "bob")
    text = f"<@{alice}> <@&{readers}> @here <@999>"
    asked = world.say("alice", "general", "hi")
    await channel.send(text, allowed_mentions=QUIET)
    assert server.record.pings == []
    loud = await channel.send(text)
    assert [p.what for p in server.record.pings] == [f"<@{alice}>", f"<@&{readers}>", "@everyone"]
    assert [str(user.id) for user in loud.mentions] == [alice] and loud.mention_everyone
    server.record.pings.clear()
    changed = await loud.edit(content=text, allowed_mentions=QUIET)
    assert changed.mentions == [] and server.record.pings == []
    await loud.edit(content=text, allowed_mentions=discord.AllowedMentions(users=True))
    assert [ping.what for ping in server.record.pings][:1] == [f"<@{alice}>"]
    server.record.pings.clear()
    await (await channel.fetch_message(int(asked))).reply("yes")
    assert [ping.what for ping in server.record.pings] == ["reply"]
    world.deny("general", rules.MENTION_EVERYONE)
    await channel.send("@everyone")
    assert [ping.what for ping in server.record.pings] == ["reply"]
    both = {"parse": ["users"], "users": [alice]}
    body = {"content": "x", "allowed_mentions": both}
    status, answer, _ = await call(server, WRITE, body)
    assert status == 400 and "allowed_mentions" in answer["errors"]


async def test_links_preview_unless_they_are_suppressed(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    hidden = await channel.send("https://a.invalid/", suppress_embeds=True)
    await hidden.edit(content="https://b.invalid/", suppress=True)
    await channel.send("<https://c.invalid/> `https://d.invalid/`")
    assert server.record.embeds == []
    assert {state.flags for state in server.record.history(str(hidden.id))} == {4}
    await hidden.edit(suppress=False)
    await channel.send("see https://e.invalid/.")
    shown = [seen.what.rstrip(".") for seen in server.record.embeds]
    assert shown == ["https://b.invalid/", "https://e.invalid/"]


async def test_an_enforced_nonce_makes_one_message(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    first = await channel.send("a", nonce="n1")
    again = await channel.send("b", nonce="n1")
    assert first.id == again.id and again.content == "a" and again.nonce == "n1"
    assert (await channel.fetch_message(first.id)).nonce is None
    server.nonces_readable = True
    assert (await channel.fetch_message(first.id)).nonce == "n1"
    await asyncio.sleep(0.31)
    assert (await channel.send("c", nonce="n1")).id != first.id
    loose = {"content": "d", "nonce": "n1"}
    await call(server, WRITE, loose)
    assert server.record.visible("general") == ["a", "c", "d"]


async def test_replies_show_what_they_answer_in_their_channel_only(
    server: DiscordServer, client: discord.Client
) -> None:
    world, channel = server.world, await text_channel(client, server, "general")
    asked = await channel.fetch_message(int(world.say("alice", "general", "why?")))
    answer = await asked.reply("so", mention_author=False)
    shown = (await channel.fetch_message(answer.id)).reference
    assert shown.resolved.content == "why?" and server.record.pings == []
    world.delete(str(asked.id))
    shown = (await channel.fetch_message(answer.id)).reference
    assert isinstance(shown.resolved, discord.DeletedReferencedMessage)
    with pytest.raises(discord.HTTPException, match="Unknown message"):
        await asked.reply("late")
    body = {"content": "x", "message_reference": {"message_id": str(answer.id)}}
    status, refused, _ = await call(server, WRITE.replace("general", "random"), body)
    assert (status, set(refused["errors"])) == (400, {"message_reference"})
    other = await text_channel(client, server, "random")
    with pytest.raises(discord.HTTPException, match="different channel"):
        await other.send("x", reference=answer)
    world.deny("general", rules.READ_HISTORY)
    with pytest.raises(discord.HTTPException) as caught:
        await answer.reply("x")
    assert caught.value.code == 160002


async def test_threads_share_the_id_of_their_message(
    server: DiscordServer, client: discord.Client
) -> None:
    world, channel = server.world, await text_channel(client, server, "general")
    asked = await channel.fetch_message(int(world.say("alice", "general", "why?")))
    thread = await asked.create_thread(name="Why")
    assert thread.id == asked.id and thread.owner_id == int(BOT)
    starter = [message async for message in thread.history()].pop()
    assert starter.type.value == 21 and starter.reference.cached_message is None
    assert starter.reference.resolved.content == "why?"
    assert (await channel.fetch_message(asked.id)).flags.has_thread
    with pytest.raises(discord.HTTPException) as caught:
        await asked.create_thread(name="Again")
    assert caught.value.code == 160004
    world.say("bob", str(thread.id), "me too")
    assert world.user("bob").id in world.channels[str(thread.id)].members
    news = await text_channel(client, server, "news")
    told = await news.fetch_message(int(world.say("alice", "news", "new")))
    assert (await told.create_thread(name="N")).type.value == 10
    forum = await text_channel(client, server, "help")
    post = await forum.create_thread(name="Post", content="first")
    assert post.thread.id == post.message.id and post.thread.parent_id == forum.id
    asked_id = world.forum_post("bob", "help", "How", "text")
    assert world.messages[asked_id].channel == asked_id
    world.delete_channel(str(thread.id))
    with pytest.raises(discord.NotFound) as missing:
        await thread.send("x")
    assert missing.value.code == 10003


async def test_private_threads_are_hidden_until_somebody_names_the_bot(
    server: DiscordServer, client: discord.Client
) -> None:
    world, told = server.world, list[str]()
    id_ = world.open_thread("alice", "general", "Secret", rules.PRIVATE_THREAD)
    with pytest.raises(discord.Forbidden) as caught:
        await client.fetch_channel(int(id_))
    assert caught.value.code == 50001
    world.listeners.append(lambda happened: told.append(happened.name))
    world.say("alice", id_, f"{server.mention} come")
    assert told == ["THREAD_CREATE", "THREAD_MEMBERS_UPDATE", "MESSAGE_CREATE"]
    thread = await client.fetch_channel(int(id_))
    assert isinstance(thread, discord.Thread) and thread.is_private() and thread.me


async def test_files_need_a_permission_and_have_a_limit(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    with pytest.raises(discord.HTTPException) as caught:
        await channel.send(file=discord.File(io.BytesIO(b"x" * (10 * 2**20 + 1)), "big"))
    assert (caught.value.status, caught.value.code) == (413, 40005)
    server.world.deny("general", rules.ATTACH)
    with pytest.raises(discord.Forbidden) as caught:
        await channel.send(file=discord.File(io.BytesIO(b"x"), "small"))
    assert caught.value.code == 50013 and server.world.messages == {}


async def test_archived_threads_open_and_locked_ones_do_not(
    server: DiscordServer, client: discord.Client
) -> None:
    world = server.world
    id_ = world.open_thread("alice", world.say("alice", "general", "q"), "T")
    thread = await client.fetch_channel(int(id_))
    assert isinstance(thread, discord.Thread)
    message = await thread.send("a")
    assert BOT in world.channels[id_].members
    world.archive(id_)
    for refused in (message.edit(content="b"), thread.edit(name="Other")):
        with pytest.raises(discord.HTTPException) as caught:
            await refused
        assert caught.value.code == 50083
    await thread.send("c")
    assert not world.channels[id_].archived
    world.lock(id_)
    with pytest.raises(discord.HTTPException) as caught:
        await thread.send("d")
    assert caught.value.code == 160005
    world.allow("general", rules.MANAGE_THREADS)
    await thread.send("e")
    await thread.edit(archived=True, locked=True)
    world.deny("general", rules.MANAGE_THREADS)
    with pytest.raises(discord.HTTPException) as caught:
        await thread.send("f")
    assert caught.value.code == 50083
    assert server.record.visible(id_) == ["a", "c", "e"]


_THREAD = "POST /channels/{general}/threads"
REFUSED: list[tuple[str, Any, int, int, str]] = [
    (WRITE, {"content": "😀" * 2001}, 400, 50035, "content"),
    (WRITE, {"content": 5}, 400, 50035, "content"),
    (WRITE, {"content": "x", "nonce": "n" * 26}, 400, 50035, "nonce"),
    (WRITE, {"content": "x", "embeds": [{}] * 11}, 400, 50035, "embeds"),
    (WRITE, {"content": "x", "embeds": [{"title": "t" * 257}]}, 400, 50035, "embeds"),
    (
        WRITE,
        {"content": "x", "allowed_mentions": {"parse": ["all"]}},
        400,
        50035,
        "allowed_mentions",
    ),
    (
        WRITE,
        {"content": "x", "message_reference": {"message_id": "a"}},
        400,
        50035,
        "message_reference",
    ),
    (WRITE, {"content": " \n"}, 400, 50006, ""),
    (WRITE, {}, 400, 50006, ""),
    (WRITE, [1], 400, 50109, ""),
    (_THREAD, {"type": 11}, 400, 50035, "name"),
    (_THREAD, {"type": 11, "name": "n" * 101}, 400, 50035, "name"),
    (_THREAD, {"type": 0, "name": "n"}, 400, 50035, "type"),
    (_THREAD, {"name": "n", "auto_archive_duration": 5}, 400, 50035, "auto_archive_duration"),
    ("POST /channels/{help}/threads", {"name": "n"}, 400, 50035, "message"),
    ("POST /channels/{help}/messages", {"content": "x"}, 400, 50008, ""),
    ("POST /channels/{voice}/threads", {"name": "n"}, 400, 50024, ""),
    ("POST /channels/7/messages", {"content": "x"}, 404, 10003, ""),
    ("GET /channels/{general}/messages/7", None, 404, 10008, ""),
    ("GET /channels/{general}/messages?limit=101", None, 400, 50035, "limit"),
    ("GET /channels/{general}/messages?before=x", None, 400, 50035, "before"),
    ("PATCH /channels/{general}", {"name": "x"}, 403, 50013, ""),
    ("DELETE /channels/{general}", None, 403, 50013, ""),
    ("GET /guilds/7", None, 404, 10004, ""),
    (f"GET /guilds/{GUILD}/members/7", None, 404, 10007, ""),
    ("GET /users/7", None, 404, 10013, ""),
    ("POST /users/@me/channels", {"recipient_id": "7"}, 404, 10013, ""),
    ("PUT /nothing", {}, 404, 0, ""),
    ("PUT /channels/{general}/messages", {}, 404, 0, ""),
]


@pytest.mark.parametrize(("route", "body", "status", "code", "field"), REFUSED)
async def test_discord_refuses(
    server: DiscordServer, route: str, body: Any, status: int, code: int, field: str
) -> None:
    before = len(server.world.messages)
    got, answer, _ = await call(server, route, body)
    assert (got, answer["code"]) == (status, code)
    assert answer["message"] == (rules.ERRORS[code][1] if code else "404: Not Found")
    assert set(answer.get("errors", ())) == ({field} if field else set())
    assert len(server.world.messages) == before and not server.record.calls[-1].effect


async def test_content_of_two_thousand_code_points_is_taken(server: DiscordServer) -> None:
    body = {"content": "😀" * 2000, "nonce": "n" * 25}
    assert (await call(server, WRITE, body))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": "Bot wrong"}, 401, 0),
        ({"Authorization": ""}, 401, 0),
        ({"Authorization": "stand-in.bot.token"}, 401, 0),
        ({"User_Agent": "python-requests/2"}, 403, 40333),
        ({"User_Agent": ""}, 403, 40333),
        ({"Content_Type": "text/plain"}, 400, 50035),
        ({"Content_Type": ""}, 400, 50035),
        ({"Content_Type": "application/json"}, 400, 50109),
    ],
)
async def test_callers_that_discord_turns_away(
    server: DiscordServer, headers: dict[str, str], status: int, code: int
) -> None:
    sent = {"User_Agent": AGENT} | headers
    sent = {name.replace("_", "-"): value for name, value in sent.items()}
    sent = {name: value for name, value in sent.items() if value or name != "Content-Type"}
    got, answer, _ = await call(server, WRITE, b"{content", **sent)
    assert (got, answer["code"]) == (status, code)
    assert server.record.invalid == (status in (401, 403))
    assert server.world.messages == {}


async def test_permissions_people_and_places_that_refuse(
    server: DiscordServer, client: discord.Client
) -> None:
    world, channel = server.world, await text_channel(client, server, "general")
    theirs = await channel.fetch_message(int(world.say("alice", "general", "mine")))
    mine = await channel.send("x")
    direct = await client.fetch_channel(int(world.direct("alice")))
    assert isinstance(direct, discord.DMChannel)
    assert (await direct.send("hello")).content == "hello"
    world.user("alice").closed = True
    partial = channel.get_partial_message(theirs.id)
    world.deny("general", rules.SEND)
    tries = [
        (50005, partial.edit(content="no")),
        (50013, theirs.delete()),
        (50007, direct.send("x")),
        (50013, channel.send("x")),
        (50013, channel.typing().__aenter__()),
    ]
    for code, refused in tries:
        with pytest.raises(discord.Forbidden) as caught:
            await refused
        assert caught.value.code == code
    assert (await mine.edit(content="still")).content == "still"
    world.deny("general", rules.VIEW)
    with pytest.raises(discord.Forbidden) as caught:
        await mine.edit(content="no")
    assert caught.value.code == 50001
    world.deny("general", rules.VIEW, "bob")
    for who, where in (("bob", "general"), ("alice", "help")):
        with pytest.raises(ValueError, match="can't write"):
            world.say(who, where, "x")
    world.kick_bot()
    with pytest.raises(discord.Forbidden) as caught:
        await text_channel(client, server, "random")
    assert caught.value.code == 50001


async def test_without_the_intent_only_what_concerns_the_app_is_readable() -> None:
    async with DiscordServer(App(intents=0), unlimited=True) as server, signed_in(server) as client:
        world, channel = server.world, await text_channel(client, server, "general")
        secret = world.say("alice", "general", "secret")
        world.say("bob", "general", f"{server.mention} look", reply_to=secret, files=["a.txt"])
        mine = await channel.send("mine")
        world.say("bob", "general", "pinging reply", reply_to=str(mine.id))
        world.say("bob", "general", "quiet reply", reply_to=str(mine.id), ping=False)
        read = [message async for message in channel.history(oldest_first=True)]
        found = [message.content for message in read]
        assert found == ["", f"{server.mention} look", "mine", "pinging reply", ""]
        assert read[1].attachments and read[1].reference.resolved.content == ""
        direct = await client.fetch_channel(int(world.direct("alice")))
        assert isinstance(direct, discord.DMChannel)
        world.say("alice", str(direct.id), "private")
        assert [message.content async for message in direct.history()] == ["private"]


async def test_history_pages_in_both_directions(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    ids = [server.world.say("alice", "general", str(number)) for number in range(120)]
    newest = [message.content async for message in channel.history(limit=110)]
    assert newest == [str(number) for number in range(119, 9, -1)]
    middle = discord.Object(int(ids[60]))
    after = [message.content async for message in channel.history(limit=3, after=middle)]
    assert after == ["61", "62", "63"]
    around = [message.content async for message in channel.history(limit=3, around=middle)]
    assert sorted(around) == ["59", "60", "61"]
