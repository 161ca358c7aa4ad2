"""The app's commands in the Discord stand-in: how they are kept, limited and refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.emulators.discord import DiscordServer
from tests.emulators.discord_calls import call
from tests.emulators.discord_rules import BOT, GUILD

GLOBAL = f"/applications/{BOT}/commands"
LOCAL = f"/applications/{BOT}/guilds/{GUILD}/commands"
ASK: dict[str, Any] = {"name": "ask", "description": "Ask"}
MENU: dict[str, Any] = {"name": "Ask about this", "type": 3}
TEXT: dict[str, Any] = {"type": 3, "name": "prompt", "description": "What"}


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(unlimited=True) as server:
        yield server


async def send(server: DiscordServer, route: str, body: Any = None) -> tuple[int, Any]:
    status, answer, _ = await call(server, route, body)
    return status, answer


async def test_a_command_is_kept_in_discords_form(server: DiscordServer) -> None:
    options = [TEXT | {"required": True}, TEXT | {"name": "more", "required": False}]
    status, kept = await send(server, f"POST {GLOBAL}", ASK | {"options": options})
    assert status == 200
    assert kept == {
        "id": kept["id"],
        "application_id": BOT,
        "version": kept["version"],
        "default_member_permissions": None,
        "type": 1,
        "name": "ask",
        "name_localizations": None,
        "description": "Ask",
        "description_localizations": None,
        "dm_permission": True,
        "contexts": None,
        "integration_types": [0, 1],
        "nsfw": False,
        "options": [
            TEXT | _LOCAL | {"required": True},
            TEXT | _LOCAL | {"name": "more"},
        ],
    }
    _, listed = await send(server, f"GET {GLOBAL}")
    assert not any("localizations" in key for key in (*listed[0], *listed[0]["options"][0]))
    _, listed = await send(server, f"GET {GLOBAL}?with_localizations=true")
    assert listed == [kept]


_LOCAL = {"name_localizations": None, "description_localizations": None}


async def test_same_names_keep_their_ids_and_their_versions_while_unchanged(
    server: DiscordServer,
) -> None:
    _, (ask, menu) = await send(server, f"PUT {GLOBAL}", [ASK, MENU])
    _, same = await send(server, f"PUT {GLOBAL}", [MENU, ASK])
    assert same == [menu, ask]
    _, changed = await send(server, f"POST {GLOBAL}", ASK | {"description": "New"})
    assert changed["id"] == ask["id"] and changed["version"] != ask["version"]
    _, patched = await send(server, f"PATCH {GLOBAL}/{ask['id']}", {"name": "query"})
    assert (patched["name"], patched["description"]) == ("query", "New")
    assert (await send(server, f"DELETE {GLOBAL}/{ask['id']}"))[0] == 204
    assert (await send(server, f"GET {GLOBAL}/{ask['id']}"))[1]["code"] == 10063
    assert await send(server, f"GET {GLOBAL}/{menu['id']}") == (200, menu)
    assert server.app.command_writes == 5


async def test_a_guilds_commands_are_its_own(server: DiscordServer) -> None:
    _, local = await send(server, f"POST {LOCAL}", ASK)
    assert local["guild_id"] == GUILD and "contexts" not in local
    assert (await send(server, f"GET {GLOBAL}"))[1] == []
    refused = await send(server, f"POST {LOCAL}", ASK | {"contexts": [0]})
    assert refused[1]["code"] == 50035
    used = server.interactions.slash("alice", "general", "ask")
    assert used.body["data"]["guild_id"] == GUILD and not used.delivered
    for path, code in (("/applications/1/commands", 20012), (LOCAL.replace(GUILD, "1"), 50001)):
        status, answer = await send(server, f"GET {path}")
        assert (status, answer["code"]) == (403, code)


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ({}, "name"),
        (ASK | {"name": "Ask"}, "name"),
        (ASK | {"name": "ask it"}, "name"),
        (ASK | {"name": "a" * 33}, "name"),
        ({"name": "ask"}, "description"),
        (ASK | {"description": "x" * 101}, "description"),
        (MENU | {"description": "no"}, "description"),
        (MENU | {"options": [TEXT]}, "options"),
        (ASK | {"type": 9}, "type"),
        (ASK | {"contexts": [3]}, "contexts"),
        (ASK | {"contexts": []}, "contexts"),
        (ASK | {"integration_types": [2]}, "integration_types"),
        (ASK | {"default_member_permissions": "x"}, "default_member_permissions"),
        (ASK | {"options": [TEXT, TEXT]}, "options"),
        (ASK | {"options": [TEXT, TEXT | {"name": "b", "required": True}]}, "options"),
        (ASK | {"options": [TEXT | {"name": f"o{n}"} for n in range(26)]}, "options"),
        (ASK | {"options": [{"name": "a", "description": "b"}]}, "options"),
        (ASK | {"options": [TEXT | {"type": 12}]}, "options"),
        (ASK | {"options": [TEXT | {"max_length": 6001}]}, "options"),
        (ASK | {"options": [TEXT | {"choices": [{"name": "", "value": "x"}]}]}, "options"),
    ],
)
async def test_a_command_that_discord_refuses(
    server: DiscordServer, command: Any, where: str
) -> None:
    status, answer = await send(server, f"POST {GLOBAL}", command)
    assert (status, answer["code"], list(answer["errors"])) == (400, 50035, [where])
    status, answer = await send(server, f"PUT {GLOBAL}", [ASK | {"name": "first"}, command])
    assert (status, list(answer["errors"])) == (400, ["1"])
    assert server.app.commands == {} and server.app.command_writes == 0


async def test_names_are_unique_and_numbers_limited(server: DiscordServer) -> None:
    status, answer = await send(server, f"PUT {GLOBAL}", [ASK, ASK])
    assert (status, list(answer["errors"])) == (400, ["1"])
    menus = [MENU | {"name": f"Menu {n}"} for n in range(16)]
    assert (await send(server, f"PUT {GLOBAL}", menus))[1]["code"] == 30032
    assert (await send(server, f"PUT {GLOBAL}", [ASK, *menus[:15]]))[0] == 200
    assert (await send(server, f"POST {GLOBAL}", menus[15]))[1]["code"] == 30032
    _, (_, menu, *_) = await send(server, f"GET {GLOBAL}")
    status, answer = await send(server, f"PATCH {GLOBAL}/{menu['id']}", {"name": "Menu 2"})
    assert (status, list(answer["errors"])) == (400, ["name"])


async def test_two_hundred_new_commands_a_day(server: DiscordServer) -> None:
    for batch in range(2):
        hundred = [ASK | {"name": f"ask-{batch}-{n}"} for n in range(100)]
        assert (await send(server, f"PUT {GLOBAL}", hundred))[0] == 200
    assert (await send(server, f"PUT {GLOBAL}", hundred))[0] == 200
    assert (await send(server, f"PUT {GLOBAL}", [ASK]))[1]["code"] == 30034
    assert len(server.app.commands) == 100
