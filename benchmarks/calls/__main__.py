"""`python -m benchmarks.calls [--quick] [--json]`.

Edits of one message, eight at a time, over plain HTTP to a platform in a process of its own. The
floor is aiohttp with one session posting the same body and reading the answer. CPU of this process.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import discord
from slack_sdk.web.async_client import AsyncWebClient

from adapters.discord import calls as discord_calls
from adapters.discord import ids as discord_ids
from adapters.discord.calls import Api as DiscordApi
from adapters.discord.forms import form as discord_form
from adapters.discord.limits import Buckets
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from adapters.slack import calls as slack_calls
from adapters.slack import ids as slack_ids
from adapters.slack.calls import Api as SlackApi
from adapters.slack.markup import render as slack_render
from adapters.slack.thread import SlackThread
from benchmarks import reporting, service
from benchmarks.reporting import Figure
from core.types import Prompt, ThreadKey

TEXT = (
    "**Rayleigh scattering** sends short waves of light astray more than long ones:\n\n"
    "- blue light reaches us from all over the sky,\n- red light mostly comes straight.\n\n"
    "```python\nintensity = wavelength ** -4\n```\n\nAt dusk the way through the air is longer, "
    "so little blue is left of what comes straight, and the sun looks red. "
) * 4
AT_ONCE, CALLS, REPETITIONS = 8, 400, 7
BAR = 1.6
ALONE, OURS, RENDERED = "aiohttp alone", "ours", "ours, with the text rendered"

Call = Callable[[], Awaitable[object]]


async def cost(call: Call, calls: int) -> float:
    """CPU seconds of one call."""
    left = iter(range(calls))

    async def some() -> None:
        for _ in left:
            await call()

    before = time.process_time()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (time.process_time() - before) / calls


async def compared(ways: dict[str, Call], calls: int, repetitions: int) -> dict[str, list[float]]:
    """The cost of each, in turn, as often as asked; the first round warms up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repetitions + 1):
        for name, call in ways.items():
            seconds = await cost(call, calls if number else calls // 4)
            if number:
                found[name].append(seconds)
    return found


def _raw(session: aiohttp.ClientSession, verb: str, url: str, key: str, body: object) -> Call:
    async def call() -> None:
        headers = {"Authorization": key}
        async with session.request(verb, url, json=body, headers=headers) as response:
            await response.read()

    return call


def _prompt(platform: str, address: str, thread: ThreadKey) -> Prompt:
    return Prompt(
        platform=platform,
        thread=thread,
        identity="bench",
        sequence="1",
        author="U1",
        text="Why?",
        asked_at=0.0,
        address=address,
    )


async def slack(calls: int, repetitions: int) -> dict[str, list[float]]:
    """chat.update by each way."""
    async with service.slack() as (end, _), aiohttp.ClientSession() as session:
        url, token, ts = f"{end.about['url']}/api/", "xoxb-bench-0000", "1764000000.000001"
        at = slack_ids.Address("T1", "C1", ts, ts, "U1").encode()
        prompt = _prompt("slack", at, slack_ids.thread_key("T1", "C1", ts))
        api = SlackApi(token, url, session)
        thread = SlackThread(api, slack_ids.Bot("U2", "B2", "T1"), prompt)
        part = slack_ids.part_id("C1", ts)
        body: dict[str, Any] = {"channel": "C1", "ts": ts, "markdown_text": slack_render(TEXT)}
        shared = AsyncWebClient(token=token, base_url=url, session=session)
        default = AsyncWebClient(token=token, base_url=url)
        ways: dict[str, Call] = {
            ALONE: _raw(session, "POST", f"{url}chat.update", f"Bearer {token}", body),
            OURS: lambda: api.call(slack_calls.UPDATE, **body),
            RENDERED: lambda: thread.edit(part, TEXT),
            "AsyncWebClient, one session": lambda: shared.chat_update(**body),
            "AsyncWebClient by default": lambda: default.chat_update(**body),
        }
        return await compared(ways, calls, repetitions)


async def of_discord(calls: int, repetitions: int) -> dict[str, list[float]]:
    """The edit of a message by each way, the bucket of our own count never empty."""
    async with service.discord() as (end, _), aiohttp.ClientSession() as session:
        url, token, channel, message = end.about["api"], "bench.bench.bench", "3" * 18, "7" * 18
        at = discord_ids.Address(channel=channel, before=message, message=message).encode()
        prompt = _prompt("discord", at, discord_ids.thread_key("2" * 18, channel))
        api = DiscordApi(token, url, session)
        api._buckets = _Free()
        thread = DiscordThread(
            api, discord_ids.Bot("1", "1"), prompt, asyncio.ensure_future, Posts()
        )
        part, form = discord_ids.part_id(channel, message), discord_form(TEXT)
        names = {"channel": channel, "message": message}
        discord.http.Route.BASE = url
        client = discord.Client(intents=discord.Intents.none())
        await client.login(token)
        theirs = client.get_partial_messageable(int(channel)).get_partial_message(int(message))
        address = f"{url}/channels/{channel}/messages/{message}"
        ways: dict[str, Call] = {
            ALONE: _raw(session, "PATCH", address, f"Bot {token}", form),
            OURS: lambda: api.call(discord_calls.EDIT, names, form),
            RENDERED: lambda: thread.edit(part, TEXT),
            "discord.py": lambda: theirs.edit(content=form["content"]),
        }
        try:
            return await compared(ways, calls, repetitions)
        finally:
            await client.close()


class _Free(Buckets):
    """Counts as ever, and lets every call go: the bench makes more than Discord takes."""

    def take(self, route: str, major: str, now: float, *, counted: bool) -> float:
        super().take(route, major, now, counted=counted)
        return 0.0


def main() -> None:
    """Measure and print."""
    chosen = reporting.options("calls", __doc__)
    calls, repetitions = (100, 3) if chosen.quick else (CALLS, REPETITIONS)
    figures: list[Figure] = []
    for platform, found in (
        ("Slack", asyncio.run(slack(calls, repetitions))),
        ("Discord", asyncio.run(of_discord(calls, repetitions))),
    ):
        floor = found[ALONE]
        for name, seconds in found.items():
            us = [each * 1e6 for each in seconds]
            figures.append(reporting.of(f"{platform}, {name}: CPU an edit", us, "us"))
            ratio = [one / base for one, base in zip(seconds, floor, strict=True)]
            most = BAR if name == OURS else None
            label = f"{platform}, {name}: to aiohttp alone"
            figures.append(reporting.of(label, ratio, "times", most=most))
    reporting.show("calls", figures, as_json=chosen.json)


if __name__ == "__main__":
    main()
