"""Slack as a platform: who we are there, what comes in, and a thread to answer in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack import calls
from adapters.slack.calls import Api
from adapters.slack.events import Deleted, Dropped, Edited, Opened, for_another, read
from adapters.slack.http_events import HttpEvents
from adapters.slack.ids import PLATFORM, Bot, keys_near
from adapters.slack.missed import SETTLE, Accept, Backlog, Known, nothing_known
from adapters.slack.quiet import quiet_logger
from adapters.slack.refusals import Refused, TokenRefused
from adapters.slack.socket_mode import PING, Socket
from adapters.slack.thread import SlackThread
from core.errors import ConfigurationError, DeliveryError, StoreError, Unreachable
from core.ports import Edits
from core.proxies import DIRECT, Proxies
from core.types import Prompt, ThreadKey

log = structlog.get_logger()

API_URL = "https://slack.com/api/"

MINUTE = 60.0
"""Seconds for which Slack keeps events back when there were too many."""

SUGGESTIONS = (
    {"title": "What can you do?", "message": "What can you do, and what can't you?"},
    {"title": "Explain something", "message": "Explain to me, with an example: "},
    {"title": "Improve a text", "message": "Make this text clearer and shorter:\n"},
)
"""Prompts offered when a direct conversation is opened; Slack shows at most four."""


class SlackPlatform:
    """One workspace, over Socket Mode (app token) or HTTP (signing secret).

    accept: commits a prompt, False when it is known already or means nothing to us. It runs before
    the event is acknowledged; when it raises, Slack delivers the event again. edits: told alike of
    messages that people edit and delete.
    recent: the conversations with a turn since then (epoch seconds), newest first, for reading back
    what was missed; raises StoreError. settle: seconds, see `missed`.
    session: shared by all calls; stays the caller's to close. ping: seconds, see `socket_mode`.
    proxies: for the calls and the socket.

    Raises: ValueError with neither an app token nor a signing secret.
    """

    name = PLATFORM

    def __init__(
        self,
        *,
        bot_token: str,
        accept: Accept,
        edits: Edits,
        session: aiohttp.ClientSession,
        app_token: str = "",
        signing_secret: str = "",
        api_url: str = API_URL,
        ping: float = PING,
        recent: Known = nothing_known,
        settle: float = SETTLE,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._edits = edits
        self._app_token = app_token
        self._ping = ping
        self._proxies = proxies
        self._api = Api(bot_token, api_url, session, proxies=proxies)
        self._backlog = Backlog(self._api, accept, recent, settle)
        client = AsyncWebClient(  # without a token, so that Bolt asks us and not Slack who we are
            base_url=api_url, session=session, logger=quiet_logger(), retry_handlers=[]
        )
        self._bolt = _bolt(client, signing_secret, lambda: self._authorized(bot_token), self._take)
        self._http = (
            HttpEvents(signing_secret, self._dispatch, self._backlog.missed)
            if not app_token
            else None
        )
        self._bot: Bot | None = None
        self._serving = False
        self._others: set[str] = set()  # bots that events were brought for
        self._socket: Socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> str:
        """Find out who we are and let events in; "as @threadseek in Acme".

        Raises: ConfigurationError when Slack refuses a token, Unreachable, RateLimited. It may be
        called again after an error.
        """
        bot = await self._introduce()
        await self._backlog.look()
        if self._app_token:
            url = await self._address()
            # Events may come as soon as the socket is open.
            self._bot = bot
            socket = Socket(
                self._bolt,
                self._app_token,
                self._address,
                self._backlog.linked,
                self._proxies,
                self._ping,
            )
            await socket.open(url)
            self._socket = socket
        self._bot = bot
        self._serving = True
        self._backlog.start(bot)
        if missing := calls.SCOPES - self._api.granted:
            log.warning("slack.scopes_missing", scopes=",".join(sorted(missing)), fix=_MORE_SCOPES)
        return f"as @{bot.name} in {bot.workspace}"

    async def close(self) -> None:
        """Let nothing more in and finish what is being accepted. Threads keep working."""
        self._serving = False
        await self._backlog.close()
        if self._socket:
            await self._socket.close()
            self._socket = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def problem(self) -> str:
        """What keeps events from coming in, or answers from going out; empty when nothing does."""
        if self._api.refused:
            return f"off: {self._api.refused}"
        if not self._serving:
            return "not connected"
        if self._http:
            return self._http.problem()
        return self._socket.problem() if self._socket else ""

    async def readmitted(self) -> bool:
        """Whether Slack takes the bot token again. Raises: DeliveryError."""
        try:
            await self._api.call(calls.AUTH)
        except TokenRefused:
            return False
        return True

    def routes(self) -> list[web.RouteDef]:
        """POST /slack/events for the application that listens; none with Socket Mode."""
        return self._http.routes() if self._http else []

    def open(self, prompt: Prompt) -> SlackThread:
        """The live handle for answering this prompt; makes no call.

        Raises: Unreachable before the first `connect`.
        """
        return SlackThread(self._api, self._me(), prompt)

    def place(self, thread: ThreadKey) -> str:
        """Its channel: Slack takes about a message a second there."""
        return keys_near(thread)

    def _me(self) -> Bot:
        if self._bot is None:
            raise Unreachable("not connected to Slack yet")
        return self._bot

    async def _introduce(self) -> Bot:
        """Who we are, as the bot token says."""
        try:
            found = await self._api.call(calls.AUTH)
        except (Refused, TokenRefused) as refused:
            raise ConfigurationError([_advice("SLACK_BOT_TOKEN", _BOT_TOKEN, refused)]) from refused
        return Bot(
            user=str(found.get("user_id", "")),
            bot=str(found.get("bot_id", "")),
            team=str(found.get("team_id", "")),
            name=str(found.get("user", "")),
            workspace=str(found.get("team", "")),
        )

    async def _address(self) -> str:
        """Where the next socket is to be opened."""
        try:
            opened = await self._api.call(calls.CONNECT, token=self._app_token)
        except (Refused, TokenRefused) as refused:
            raise ConfigurationError([_advice("SLACK_APP_TOKEN", _APP_TOKEN, refused)]) from refused
        return str(opened.get("url", ""))

    def _authorized(self, bot_token: str) -> AuthorizeResult:
        """What Bolt wants to know with every event."""
        bot = self._me()
        return AuthorizeResult(
            enterprise_id=None,
            team_id=bot.team,
            bot_user_id=bot.user,
            bot_id=bot.bot,
            bot_token=bot_token,
        )

    async def _dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """An event over HTTP; when we are not ready for it, Slack brings it again."""
        if not self._serving:
            return BoltResponse(status=503, body="")
        return await self._bolt.async_dispatch(request)

    async def _take(self, body: Mapping[str, Any]) -> BoltResponse:
        """Bolt's last middleware: its answer is the acknowledgement, after the commit.

        There are no listeners: Bolt acknowledges before it runs them (slack_bolt 1.30
        listener/asyncio_runner.py), so a crash there would lose the prompt.
        """
        me = self._me()
        if (other := for_another(body, me)) and other not in self._others:
            self._others.add(other)
            log.error("slack.other_bot", bot=other, ours=me.user, fix=_ONE_APP)
        outcome = read(body, me)
        if isinstance(outcome, Prompt):
            new = await self._backlog.take(outcome)
            log.info("slack.prompt", identity=outcome.identity, new=new)
        elif isinstance(outcome, Edited):
            known = await self._edits.amend(outcome.identity, outcome.text)
            if outcome.asked and not known:
                await self._backlog.become(outcome.asked)
        elif isinstance(outcome, Deleted):
            await self._edits.withdraw(outcome.identity)
        elif isinstance(outcome, Opened):
            self._spawn(self._suggest(outcome))
        elif isinstance(outcome, Dropped):
            log.warning("slack.events_dropped", since=outcome.since)
            self._spawn(self._read_back(outcome))
        else:
            log.debug("slack.ignored", why=outcome.why)
        return BoltResponse(status=200, body="")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside the events, until we close."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_back(self, dropped: Dropped) -> None:
        """Read back what a minute brought, once it is over."""
        left = dropped.since + MINUTE - time.time()
        await asyncio.sleep(min(MINUTE, max(0.0, left)))
        self._backlog.missed(dropped.since)

    async def _suggest(self, opened: Opened) -> None:
        """Offer prompts in a conversation that was just opened."""
        thread = {"thread_ts": opened.thread_ts} if opened.thread_ts else {}
        try:
            await self._api.call(
                calls.PROMPTS, channel_id=opened.channel, prompts=list(SUGGESTIONS), **thread
            )
        except DeliveryError as error:
            log.info("slack.suggestions_failed", reason=str(error))


_BOT_TOKEN = (
    "copy the Bot User OAuth Token (xoxb-...) from OAuth & Permissions at api.slack.com/apps"  # noqa: S105
)
_APP_TOKEN = (
    "make an app-level token (xapp-...) with connections:write under Basic Information "  # noqa: S105
    "at api.slack.com/apps, and switch Socket Mode on"
)

_MORE_SCOPES = (
    "add them to the Bot Token Scopes under OAuth & Permissions at api.slack.com/apps, reinstall "
    "the app and restart; docs/slack.md tells what doesn't work without each"
)

_ONE_APP = (
    "events come for another bot than SLACK_BOT_TOKEN is: take SLACK_APP_TOKEN (or "
    "SLACK_SIGNING_SECRET) and SLACK_BOT_TOKEN of one app, installed in one workspace"
)


def _advice(variable: str, how: str, refused: Refused | TokenRefused) -> str:
    """One line for the operator."""
    if isinstance(refused, TokenRefused):
        return f"{variable}: Slack refused it ({refused.code}); {how}"
    return f"{variable}: {refused}; {how}"


def _bolt(
    client: AsyncWebClient,
    signing_secret: str,
    authorized: Callable[[], AuthorizeResult],
    take: Callable[[Mapping[str, Any]], Awaitable[BoltResponse]],
) -> AsyncApp:
    """A Bolt app whose only work is `take`, run before anything is acknowledged."""

    async def authorize() -> AuthorizeResult:
        return authorized()

    async def failed(error: Exception) -> BoltResponse:
        # Not acknowledged: Slack delivers it again. Another error's text may hold the prompt.
        why = {"reason": str(error)} if isinstance(error, StoreError) else {}
        log.error("slack.not_accepted", error=type(error).__name__, **why)
        return BoltResponse(status=500, body="")

    app = AsyncApp(
        name=PLATFORM,
        logger=client.logger,
        client=client,
        authorize=authorize,
        signing_secret=signing_secret,
        # `events.read` decides what is ours, for both transports alike.
        ignoring_self_events_enabled=False,
        attaching_conversation_kwargs_enabled=False,
        ssl_check_enabled=False,
    )
    app.middleware(take)
    app.error(failed)
    return app
