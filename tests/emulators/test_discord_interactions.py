"""People use the app in the Discord stand-in: the real client answers, and Discord refuses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
from discord import app_commands

from tests.emulators.discord import DiscordServer
from tests.emulators.discord_calls import call
from tests.emulators.discord_interaction import Interaction
from tests.emulators.discord_rules import BOT, GUILD, USE_COMMANDS
from tests.emulators.test_discord_client import Bot, running

ASK: dict[str, Any] = {
    "name": "ask",
    "description": "Ask a question",
    "options": [
        {"type": 3, "name": "prompt", "description": "What", "required": True, "max_length": 10},
        {"type": 4, "name": "times", "description": "How often"},
    ],
}
ABOUT = "Ask about this message"
MENU = {"name": ABOUT, "type": 3}
COMMANDS = f"/applications/{BOT}/commands"
FORM: dict[str, Any] = {
    "custom_id": "form",
    "title": "Settings",
    "components": [
        {
            "type": 18,
            "label": "Name",
            "component": {"type": 4, "custom_id": "name", "style": 1, "value": "old"},
        },
        {
            "type": 1,
            "components": [
                {
                    "type": 4,
                    "custom_id": "note",
                    "style": 2,
                    "label": "Note",
                    "required": False,
                    "min_length": 3,
                    "max_length": 5,
                }
            ],
        },
    ],
}


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(unlimited=True, scale=0.001) as server:
        await call(server, f"POST {COMMANDS}", ASK)
        await call(server, f"POST {COMMANDS}", MENU)
        yield server


async def answer(server: DiscordServer, used: Interaction, type_: int, **data: Any) -> Any:
    """Respond raw: (status, JSON)."""
    route = f"POST /interactions/{used.id}/{used.token}/callback?with_response=true"
    body = {"type": type_} | ({"data": data} if data else {})
    status, body, _ = await call(server, route, body, Authorization="")
    return status, body


async def hook(
    server: DiscordServer, used: Interaction, route: str, body: Any = None, app: str = BOT
) -> Any:
    """Call the webhook raw, such as "PATCH /messages/@original": (status, JSON)."""
    method, path = route.split(" ")
    path = f"{method} /webhooks/{app}/{used.token}{path}"
    status, body, _ = await call(server, path, body, Authorization="")
    return status, body


def ask(server: DiscordServer, channel: str = "general") -> Interaction:
    return server.interactions.slash("alice", channel, "ask", prompt="why")


class Asked(Bot):
    """Answers /ask after a pause for thought."""

    async def setup_hook(self) -> None:
        @app_commands.command(description="Ask")
        async def ask(interaction: discord.Interaction, prompt: str) -> None:
            await interaction.response.defer(thinking=True)
            await self.server.wait_for(lambda: self.counts.get("GO", 0) > 0, 5)
            await interaction.edit_original_response(content=f"{prompt} one")
            await interaction.edit_original_response(content=f"{prompt} two")
            await interaction.followup.send("more")

        self.tree.add_command(ask)
        await self.tree.sync()


async def test_a_command_is_synced_used_deferred_edited_and_followed_up() -> None:
    async with (
        DiscordServer(unlimited=True) as server,
        running(server, Asked) as bot,
    ):
        assert [c["name"] for c in server.app.commands.values()] == ["ask"]
        assert server.app.command_writes == 1
        used = server.interactions.slash("alice", "general", "ask", prompt="why")
        await server.wait_for(lambda: used.thinking, 5)
        assert used.delivered and used.acked_after is not None and used.acked_after < 3
        assert (used.response, used.text()) == (5, "")
        server.gateway.send_raw("GO", {})
        await server.wait_for(lambda: server.record.visible("general") == ["why two", "more"], 5)
        states = server.record.history(used.message_id)
        assert (states[0].text, states[0].flags) == ("", 128)
        assert [state.text for state in states] == ["", "why one", "why two"]
        assert [state.edited for state in states] == [False, False, True]
        assert len(used.messages) == 2 and not used.thinking
        await bot.hears("", "more")
        assert bot.heard[0].interaction_metadata is not None


async def test_a_payload_has_what_discord_sends(server: DiscordServer) -> None:
    world = server.world
    thread = world.open_thread("alice", world.say("alice", "general", "hi"), "talk")
    body = ask(server, thread).body
    alice = world.user("alice").id
    assert (body["type"], body["context"], body["guild_id"]) == (2, 0, GUILD)
    assert body["channel"]["type"] == 11 and body["channel"]["parent_id"]
    assert body["member"]["user"]["id"] == alice and int(body["member"]["permissions"]) > 0
    assert body["authorizing_integration_owners"] == {"0": GUILD}
    assert body["data"]["options"] == [{"name": "prompt", "type": 3, "value": "why"}]
    direct = ask(server, world.direct("alice")).body
    assert (direct["context"], direct["user"]["id"]) == (1, alice)
    assert "guild_id" not in direct and direct["authorizing_integration_owners"] == {"0": "0"}
    target = world.say("bob", "general", "about this")
    menu = server.interactions.message_command("alice", target, ABOUT).body["data"]
    assert menu["target_id"] == target
    assert menu["resolved"]["messages"][target]["content"] == "about this"


async def test_an_app_that_a_person_installed_goes_where_the_bot_is_not(
    server: DiscordServer,
) -> None:
    people, world = server.interactions, server.world
    group, lobby = people.group("alice", "bob"), people.other_guild("alice", "bob")
    with pytest.raises(ValueError, match="no command here"):
        ask(server, group)
    people.install("alice")
    alice = world.user("alice").id
    for place, context in ((group, 2), (lobby, 0)):
        used = ask(server, place)
        assert used.outside and used.body["context"] == context
        assert used.body["authorizing_integration_owners"] == {"1": alice}
        assert (await answer(server, used, 5))[0] == 200
        sent = [(await hook(server, used, "POST ", {"content": "x"}))[0] for _ in range(5)]
        assert sent == [200] * 5
        status, refused = await hook(server, used, "POST ", {"content": "x"})
        assert (status, refused["code"]) == (400, 40094)
    status, refused, _ = await call(server, f"GET /channels/{group}/messages")
    assert (status, refused["code"]) == (403, 50001)


async def test_what_discord_does_not_let_a_person_do(server: DiscordServer) -> None:
    people = server.interactions
    for name, options in (
        ("unknown", {}),
        ("ask", {}),
        ("ask", {"prompt": "x" * 11}),
        ("ask", {"prompt": ""}),
        ("ask", {"prompt": 3}),
        ("ask", {"prompt": "x", "other": 1}),
        ("ask sub", {"prompt": "x"}),
    ):
        with pytest.raises(ValueError):
            people.slash("alice", "general", name, **options)
    server.world.deny("general", USE_COMMANDS, "alice")
    with pytest.raises(ValueError, match="can't use commands"):
        ask(server)
    await call(server, f"POST {COMMANDS}", ASK | {"contexts": [0]})
    with pytest.raises(ValueError, match="no command here"):
        ask(server, server.world.direct("alice"))
    assert people.all == []


async def test_two_sessions_of_a_shard_hear_of_one_interaction_and_one_may_acknowledge_it() -> None:
    async with (
        DiscordServer(unlimited=True, scale=0.001) as server,
        running(server) as one,
        running(server) as two,
    ):
        await call(server, f"POST {COMMANDS}", ASK)
        used = ask(server)
        assert used.delivered
        server.gateway.send_raw("END", {})
        await one.sees("END")
        await two.sees("END")
        counts = [bot.counts.get("INTERACTION_CREATE", 0) for bot in (one, two)]
        assert counts == [1, 1]
        assert (await answer(server, used, 5))[0] == 200
        status, body = await answer(server, used, 5)
        assert (status, body["code"], used.refused_again) == (400, 40060, 1)


async def test_the_first_response_tells_of_its_message(server: DiscordServer) -> None:
    used = ask(server)
    status, body = await answer(server, used, 5, flags=64)
    assert (status, body["resource"]) == (200, {"type": 5})
    about = body["interaction"]
    assert about == {
        "id": used.id,
        "type": 2,
        "response_message_id": used.message_id,
        "response_message_loading": True,
        "response_message_ephemeral": True,
    }
    other = ask(server)
    _, body = await answer(server, other, 4, content="at once")
    assert body["resource"]["message"]["content"] == "at once"
    assert body["resource"]["message"]["type"] == 20
    silent = ask(server)
    route = f"POST /interactions/{silent.id}/{silent.token}/callback"
    assert (await call(server, route, {"type": 5}))[0] == 204


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "type"),
        ({"type": 6}, "type"),
        ({"type": 7, "data": {"content": "x"}}, "type"),
        ({"type": 1}, "type"),
        ({"type": 4, "data": {"content": "x" * 2001}}, "data"),
        ({"type": 9, "data": FORM | {"title": "x" * 46}}, "data"),
        ({"type": 9, "data": FORM | {"components": []}}, "data"),
        ({"type": 9, "data": FORM | {"components": FORM["components"][:1] * 2}}, "data"),
    ],
)
async def test_a_response_that_discord_refuses(
    server: DiscordServer, body: Any, where: str
) -> None:
    used = ask(server)
    route = f"POST /interactions/{used.id}/{used.token}/callback"
    status, refused, _ = await call(server, route, body)
    assert (status, refused["code"], list(refused["errors"])) == (400, 50035, [where])
    assert used.acked_after is None and used.response == 0


async def test_an_empty_answer_a_second_one_and_one_of_a_stranger(server: DiscordServer) -> None:
    used = ask(server)
    assert (await answer(server, used, 4, content=" "))[1]["code"] == 50006
    assert (await hook(server, used, "POST ", {"content": "x"}))[1]["code"] == 10015
    assert (await answer(server, used, 5))[0] == 200
    status, body = await answer(server, used, 5)
    assert (status, body["code"]) == (400, 40060)
    strange = f"POST /interactions/1/{used.token}/callback"
    status, body, _ = await call(server, strange, {"type": 5})
    assert (status, body["code"]) == (404, 10062)
    assert (await hook(server, used, "GET /messages/@original", app="1"))[1]["code"] == 10015
    used.token = "unknown"
    assert (await hook(server, used, "GET /messages/@original"))[0] == 404


async def test_too_late_is_unknown_and_a_token_dies() -> None:
    options = {"unlimited": True, "ack_timeout": 0.05, "scale": 0.2 / 900}
    async with DiscordServer(**options) as server:  # type: ignore[arg-type]
        await call(server, f"POST {COMMANDS}", ASK)
        late, used = ask(server), ask(server)
        assert (await answer(server, used, 5))[0] == 200
        await asyncio.sleep(0.06)
        status, body = await answer(server, late, 5)
        assert (status, body["code"]) == (404, 10062)
        await asyncio.sleep(0.2)
        status, body = await hook(server, used, "PATCH /messages/@original", {"content": "x"})
        assert (status, body["code"]) == (401, 50027)
        assert used.thinking and server.record.history(used.message_id)[-1].flags == 128


async def test_an_ephemeral_answer_is_the_askers_alone(server: DiscordServer) -> None:
    async with running(server) as bot:
        used = ask(server)
        await answer(server, used, 5, flags=64)
        await hook(server, used, "PATCH /messages/@original", {"content": "psst"})
        assert used.ephemeral == ["", "psst"] and used.text() == "psst"
        general = server.world.channel("general").id
        status, body, _ = await call(server, f"GET /channels/{general}/messages")
        assert (status, body) == (200, [])
        route = f"PATCH /channels/{general}/messages/{used.message_id}"
        assert (await call(server, route, {"content": "x"}))[1]["code"] == 10008
        server.world.say("alice", "general", "loud")
        await bot.hears("loud")
        assert "MESSAGE_UPDATE" not in bot.counts


async def test_a_follow_up_while_thinking_becomes_the_answer(server: DiscordServer) -> None:
    used = ask(server)
    await answer(server, used, 5)
    _, first = await hook(server, used, "POST ", {"content": "first", "flags": 64})
    _, second = await hook(server, used, "POST ", {"content": "second", "flags": 64})
    assert first["id"] == used.message_id and second["id"] != first["id"]
    assert used.text() == "first" and used.ephemeral == ["second"]
    _, body = await hook(server, used, "GET /messages/@original")
    assert (body["content"], body["flags"], body["edited_timestamp"]) == ("first", 0, None)


async def test_answers_are_edited_and_deleted_with_the_token(server: DiscordServer) -> None:
    used = ask(server)
    await answer(server, used, 4, content="https://a.invalid/")
    original = "/messages/@original"
    _, body = await hook(server, used, f"PATCH {original}", {"flags": 4})
    assert body["flags"] == 4 and body["content"] == "https://a.invalid/"
    long = {"content": "x" * 2001}
    assert (await hook(server, used, f"PATCH {original}", long))[1]["code"] == 50035
    general = server.world.channel("general").id
    route = f"PATCH /channels/{general}/messages/{used.message_id}"
    assert (await call(server, route, {"content": "by the bot"}))[0] == 200
    assert used.text() == "by the bot"
    stranger = server.world.say("alice", "general", "hi")
    assert (await hook(server, used, f"DELETE /messages/{stranger}"))[1]["code"] == 10008
    assert (await hook(server, used, f"DELETE {original}"))[0] == 204
    assert (await hook(server, used, f"GET {original}"))[1]["code"] == 10008
    assert used.text() is None


async def test_thinking_can_only_be_ended_with_the_token(server: DiscordServer) -> None:
    used = ask(server)
    await answer(server, used, 5)
    general = server.world.channel("general").id
    route = f"PATCH /channels/{general}/messages/{used.message_id}"
    assert (await call(server, route, {"content": "by the bot"}))[0] == 403
    assert used.thinking


async def test_a_command_opens_an_archived_thread(server: DiscordServer) -> None:
    world = server.world
    thread = world.open_thread("alice", world.say("alice", "general", "hi"), "talk")
    world.archive(thread)
    used = ask(server, thread)
    assert not world.channel(thread).archived
    await answer(server, used, 5)
    world.archive(thread)
    late = await hook(server, used, "PATCH /messages/@original", {"content": "x"})
    assert late[1]["code"] == 50083
    world.lock(thread)
    with pytest.raises(ValueError):
        ask(server, thread)


async def test_a_form_is_sent_with_every_field(server: DiscordServer) -> None:
    people = server.interactions
    used = ask(server)
    with pytest.raises(ValueError, match="no form"):
        people.submit("alice", used, {})
    await answer(server, used, 9, **FORM)
    assert used.modal == FORM and used.message_id == ""
    with pytest.raises(ValueError, match="no form"):
        people.submit("bob", used, {})
    for texts in ({"name": ""}, {"note": "ab"}, {"note": "abcdef"}, {"other": "x"}):
        with pytest.raises(ValueError):
            people.submit("alice", used, texts)
    sent = people.submit("alice", used, {"note": "abc"})
    label, row = sent.body["data"]["components"]
    assert label["component"]["value"] == "old" and row["components"][0]["value"] == "abc"
    assert (await answer(server, sent, 9, **FORM))[1]["code"] == 50035
    assert (await answer(server, sent, 4, content="kept", flags=64))[0] == 200
    assert sent.ephemeral == ["kept"] and sent.type == 5
    meta = sent.meta()["triggering_interaction_metadata"]
    assert (meta["id"], meta["name"]) == (used.id, "ask")
    with pytest.raises(ValueError, match="before"):
        people.submit("alice", used, {})


async def test_a_button_changes_its_message(server: DiscordServer) -> None:
    button = {"type": 2, "style": 4, "label": "Stop", "custom_id": "stop"}
    rows = [{"type": 1, "components": [button]}]
    used = ask(server)
    await answer(server, used, 4, content="going", components=rows)
    with pytest.raises(ValueError):
        server.interactions.click("bob", used.message_id, "other")
    pressed = server.interactions.click("bob", used.message_id, "stop")
    assert pressed.body["message"]["id"] == used.message_id
    _, body = await answer(server, pressed, 7, content="stopped", components=[])
    assert body["resource"]["message"]["content"] == "stopped"
    assert used.text() == "stopped"
    with pytest.raises(ValueError):
        server.interactions.click("bob", used.message_id, "stop")


async def test_webhook_calls_are_limited_by_token_and_not_globally() -> None:
    async with DiscordServer() as server:
        await call(server, f"POST {COMMANDS}", ASK)
        for _ in range(2):
            used = ask(server)
            await answer(server, used, 5)
            edits = [
                (await hook(server, used, "PATCH /messages/@original", {"content": "x"}))[0]
                for _ in range(6)
            ]
            assert edits == [200] * 5 + [429]
