"""The gateway: discord.py's client, with events as Discord sends them, and a way back always.

discord.py 2.7.1 ends `Client.connect()` on an exception while an event is parsed (gateway.py
received_message), on a first connection that fails (client.py connect: `self.ws` is None), and
waits up to seventeen minutes between two tries (backoff.py). So the events are handed over before
they are parsed, a parser may fail, and the loop around the socket is our own.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from core.errors import Unreachable
from core.proxies import DIRECT, Proxies

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two tries to connect: they double, with jitter."""
INVALIDATED = (1.0, 5.0)
"""Seconds, chosen at random, before a new session after Discord ended or refused one."""
IDENTIFY_EVERY = 5.5
"""Seconds between two new sessions: Discord takes one in five seconds, of one bot's processes
together (docs.discord.com/developers/events/gateway#rate-limiting)."""
STEADY = 10.0
"""Seconds that a connection must have lasted for the pauses to begin anew."""
OPENING = 30.0
"""Seconds for opening a socket and hearing Discord's hello."""
SILENCE = 50.0
"""Seconds without a word after which a connection is dead: heartbeats are acknowledged every 41."""
_RESUMABLE, _FINAL = 4000, 1000  # close codes: after the second, Discord ends the session
_RESUMES = 2  # tries at the address that Discord named for resuming, before its usual one

WRONG_TOKEN, INVALID_SHARD, TOO_FEW_SHARDS, INTENTS_REFUSED = 4004, 4010, 4011, 4014
_FATAL = frozenset({WRONG_TOKEN, INVALID_SHARD, TOO_FEW_SHARDS, 4012, 4013, INTENTS_REFUSED})
"""Close codes after which the same connection would be refused again
(docs.discord.com/developers/topics/opcodes-and-status-codes#gateway)."""

OnEvent = Callable[[str, Any], None]
Begun = Callable[[], Awaitable[None]]
Start = Callable[[], AbstractAsyncContextManager[Begun]]
"""Waits until a new session may be asked for, within it the turn is ours; what it gives is called
when it is asked for."""


async def _freely() -> None:
    """Nobody has to know."""


def alone() -> AbstractAsyncContextManager[Begun]:
    """No other session of this bot is begun anywhere."""
    return contextlib.nullcontext(_freely)


class Closed(Exception):
    """Discord won't have us back as we are. code: of the closed socket."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the gateway refused us ({code})")
        self.code = code

    @property
    def too_few(self) -> bool:
        """Whether it would have us back with more shards."""
        return self.code in (INVALID_SHARD, TOO_FEW_SHARDS)


def intents(*, content: bool) -> discord.Intents:
    """What we ask to hear. content: the privileged message content intent."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.dm_messages = True
    wanted.message_content = content
    return wanted


class _Ended(Exception):
    """The connection ended, and another one may begin. resume: it goes on with the session."""

    def __init__(self, cause: str, *, resume: bool) -> None:
        super().__init__(cause)
        self.cause = cause
        self.resume = resume


class _Socket(DiscordWebSocket):
    """A socket that is closed, whatever ends it; discord.py's stays open when it is cancelled."""

    async def received_message(self, msg: Any, /) -> None:
        """One frame. Raises: _Ended, when Discord wants another connection."""
        try:
            await super().received_message(msg)
        except ReconnectWebSocket as again:
            cause = "asked to" if again.resume else "the session is no longer valid"
            raise _Ended(cause, resume=again.resume) from None

    async def poll_event(self) -> None:
        """Take the next frame. Raises: _Ended, and what discord.py raises."""
        try:
            await super().poll_event()
        except ReconnectWebSocket as again:
            # Nothing came for too long, or the heartbeats, which closed it, heard nothing.
            silent = isinstance(again.__context__, TimeoutError) or self._close_code is not None
            cause = "silence" if silent else f"closed ({self.socket.close_code})"
            await self._end(_RESUMABLE)
            raise _Ended(cause, resume=True) from None
        except asyncio.CancelledError:
            await self._end(_FINAL)
            raise
        except Exception:
            await self._end(_RESUMABLE)
            raise

    async def _end(self, code: int) -> None:
        if self._keep_alive:  # a thread, which would go on for a dead socket
            self._keep_alive.stop()
        # Without a wait for the other side: aiohttp has none after a read that was cancelled.
        with contextlib.suppress(Exception):
            await self.socket.close(code=code)


class Gateway(discord.Client):
    """One connection to the gateway, for one set of intents.

    on_event: called with the name and the data of every event, before it is parsed. before: the
    connection that this one replaces. shard: number and count. start: see `Start`. silence: see
    SILENCE. proxies: for the login and each address of the gateway. up: the socket is open and the
    session valid.
    """

    def __init__(
        self,
        *,
        content: bool,
        address: str,
        on_event: OnEvent,
        before: "Gateway | None" = None,
        shard: tuple[int, int] = (0, 1),
        start: Start = alone,
        silence: float = SILENCE,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._on_event = on_event
        self._start = start
        self._begin: Begun = _freely
        self._address = yarl.URL(address)
        self._proxies = proxies
        super().__init__(
            intents=intents(content=content),
            shard_id=shard[0],
            shard_count=shard[1],
            max_messages=None,
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0,  # a wait for its own event "ready", which nobody hears here
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            heartbeat_timeout=silence,
            proxy=proxies.of(discord.http.Route.BASE),
        )
        self.content = content
        self.up = False
        self._begun: bool = before is not None and before._begun
        self._identified: float = before._identified if before is not None else float("-inf")

    def _get_state(self, **options: Any) -> Any:
        """discord.py's state (client.py _get_state), whose parsers may fail."""
        state = super()._get_state(**options)
        for name, parse in state.parsers.items():
            state.parsers[name] = self._guarded(name, parse)
        return state

    def _guarded(self, name: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
        def heard(data: Any) -> None:
            if name in ("READY", "RESUMED"):
                self.up = self._begun = True
            for take in (self._on_event, lambda _name, data: parse(data)):
                try:
                    take(name, data)
                except Exception as error:  # noqa: BLE001 - its text may hold the event's
                    log.warning("discord.event_not_parsed", type=name, error=type(error).__name__)

        return heard

    async def stay(self) -> None:
        """Connect, and come back whenever the connection ends, until cancelled.

        A connection that ended is resumed, so that Discord sends again what was missed. Raises:
        Closed when it would be refused for ever; before the first session whatever went wrong.
        """
        failures = 0
        while True:
            started, pause = self.loop.time(), 0.0
            try:
                await self._connected(failures)
            except _Ended as ended:
                if ended.resume and not self._begun:
                    raise ConnectionResetError("the gateway closed before it was ready") from ended
                cause = ended.cause
                if not ended.resume:
                    pause = random.uniform(*INVALIDATED)  # noqa: S311
            except discord.ConnectionClosed as closed:
                if closed.code in _FATAL:
                    raise Closed(closed.code) from closed
                cause = f"closed ({closed.code})"
            except Exception as error:
                if not self._begun or isinstance(error, Closed):
                    raise
                cause = str(error) if isinstance(error, Unreachable) else type(error).__name__
            finally:
                self.up = False
            failures = 0 if self.loop.time() - started > STEADY else failures + 1
            if failures > 1:
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 2, 8))
                pause = max(pause, longest * random.uniform(0.5, 1.0))  # noqa: S311
            log.info("discord.gateway_down", cause=cause, again_in=round(pause, 2))
            await asyncio.sleep(pause)

    async def _connected(self, failures: int) -> None:
        """One connection, from the opening of the socket to its end."""
        last = self.ws if self.ws is not None and self.ws.session_id else None
        if last is None:
            await asyncio.sleep(self._identified + IDENTIFY_EVERY - self.loop.time())
            async with self._start() as self._begin:
                self.ws = await self._opened(self._address)
        else:
            named = last.gateway if failures <= _RESUMES else None
            known = {"resume": True, "session": last.session_id, "sequence": last.sequence}
            socket = await self._opened(named or self._address, **known)
            if named is None:
                socket.gateway = last.gateway
            self.ws = socket
        while True:
            await self.ws.poll_event()

    async def _opened(self, gateway: yarl.URL, **known: Any) -> _Socket:
        """A socket that has said hello, and we what we want. known: the session to resume."""
        self.http.proxy = self._proxies.of(str(gateway))  # from here on it only opens sockets
        opening = _Socket.from_client(
            self, initial=not known, gateway=gateway, shard_id=self.shard_id, **known
        )
        try:
            return await asyncio.wait_for(opening, OPENING)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one
            if told := self._proxies.trouble(str(gateway), error):
                raise told from None
            raise

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Note when a new session is asked for; discord.py's own would wait here."""
        await self._begin()
        self._identified = self.loop.time()
