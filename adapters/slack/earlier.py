"""What stands in a thread. Slack gives it oldest first, in pages
(docs.slack.dev/reference/methods/conversations.replies); what matters most is the newest."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from adapters.slack.calls import Api
from adapters.slack.ids import Address, is_ts
from adapters.slack.reading import PATIENCE, patiently
from core.errors import Unreachable

Message: TypeAlias = Mapping[str, Any]

PAGE = 200
"""Messages in one page of a thread; Slack recommends no more."""

PAGES = 25
"""Pages of what was said since a question that are read at most."""

FORWARD = 10
"""Pages from the beginning of a thread that are read at most: 2,000 messages."""

WITHIN = 30.0
"""Seconds in which all is read that was said before a prompt, rate limits included: its answer
waits for that."""

LOOKS = 30
"""Further pages at most, each of which halves the time in which the newest page may begin: from a
year to less than a second."""


async def replies(
    api: Api, at: Address, patience: float = PATIENCE, **bounds: Any
) -> tuple[Sequence[Message], bool]:
    """The thread's messages between `oldest` and `latest`, oldest first, from `PAGES` pages, and
    whether these are all.

    patience: seconds that each page waits for rate limits. Raises: DeliveryError.
    """
    said: list[Message] = []
    cursor = ""
    for _ in range(PAGES):
        messages, cursor = await _page(api, at, cursor, bounds, patience)
        said += messages
        if not cursor:
            break
    return said, not cursor


async def one(api: Api, at: Address, ts: str) -> Message | None:
    """A message of the thread, if it is there. Rate limits aren't waited for.

    Raises: DeliveryError.
    """
    around, _ = await replies(api, at, patience=0, oldest=ts, latest=ts, inclusive=True)
    return next((message for message in around if message["ts"] == ts), None)


async def before(api: Api, at: Address) -> Sequence[Message]:
    """What was said before the prompt, oldest first.

    Of a thread that is longer than `FORWARD` pages: its first message and the newest ones, a full
    page at most and at least half of one. Raises: DeliveryError.
    """
    until = asyncio.get_running_loop().time() + WITHIN
    try:
        async with asyncio.timeout_at(until):
            return await _before(api, at, until)
    except TimeoutError as error:
        raise Unreachable("Slack didn't say in time what was said before") from error


async def _before(api: Api, at: Address, until: float) -> Sequence[Message]:
    """`before`, by then (the loop's time)."""
    said: list[Message] = []
    cursor = ""
    for _ in range(FORWARD):
        messages, cursor = await _page(api, at, cursor, {"latest": at.ts}, _left(until))
        said += messages
        if not cursor:
            return said
    since = said[-1] if said else {"ts": at.thread_ts}
    return await _newest(api, at, since, messages, until)


async def _newest(
    api: Api, at: Address, since: Message, page: Sequence[Message], until: float
) -> Sequence[Message]:
    """The last page, should one have begun where it is to end. since: more than a page is behind
    it. page: a full one, whatever Slack takes for that.
    """
    early, late = float(since["ts"]), float(at.ts)
    newest: Sequence[Message] = ()
    for _ in range(LOOKS):
        middle = (early + late) / 2
        bounds = {"oldest": f"{middle:.6f}", "latest": at.ts}
        messages, cursor = await _page(api, at, "", bounds, _left(until))
        if cursor:
            early = middle
            continue
        newest, late = messages, middle
        if len(newest) > len(page) // 2:
            break
    return newest


def _left(until: float) -> float:
    return until - asyncio.get_running_loop().time()


async def _page(
    api: Api, at: Address, cursor: str, bounds: Mapping[str, Any], patience: float
) -> tuple[Sequence[Message], str]:
    """One page, and where the next one begins; "" where there is none. patience: in seconds."""
    more = {"cursor": cursor} if cursor else {}
    page = await patiently(
        api, patience, channel=at.channel, ts=at.thread_ts, limit=PAGE, **bounds, **more
    )
    listed = [
        m for m in page.get("messages") or () if isinstance(m, Mapping) and is_ts(m.get("ts"))
    ]
    return listed, (page.get("response_metadata") or {}).get("next_cursor") or ""
