"""The chat-completion API over HTTP: one attempt, its chunks, four clocks, one connection pool."""

import asyncio
import io
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog

from core.deepseek import wire
from core.deepseek.broken import noticed
from core.deepseek.failures import MAX_BODY, decipher, redact
from core.deepseek.gate import Gate
from core.deepseek.gathering import Gatherer, Gathering
from core.deepseek.options import Options
from core.deepseek.reading import Reading
from core.errors import Barred, Clock, CompletionError, Failure
from core.ports import Completions
from core.proxies import DIRECT, Proxies
from core.types import Chunk, CompletionRequest

__all__ = ["DeepSeek", "Options"]

DRAIN = 1.0
"""Seconds an answer's connection is read on behind its end, so that it can be used again."""

DRAIN_WAIT = 0.05
"""Seconds a new attempt waits for such a connection; a TLS handshake costs about as much."""

OTHERS = 5.0
"""Seconds without progress after which the other candidates are given up, once the first is whole:
it is all that people see, and candidates are made side by side, their words a fraction of a second
apart. Some hosts take `n` and send one candidate only."""

LINGER = 1.0
"""Seconds to wait for usage and [DONE] behind the last finish, whatever else comes."""

ERROR_WAIT = 5.0
"""Seconds to wait for what an error says of itself; its status is there already."""

KEEP_ALIVE = 50.0
"""Seconds an unused connection is kept; servers commonly close theirs after 60 or 75."""

LATE = 1.0
"""Seconds by which a clock that comes so late shows that the process stood still meanwhile."""

_TICK = 0.001  # seconds: how exactly a timer fires

_log = structlog.get_logger()


class DeepSeek(Completions):
    """The API, as an async context manager that owns one connection pool.

    Nothing is retried here and no redirect is followed (the key must not leave for elsewhere).
    Every failure is a CompletionError; the HTTP library's own errors never get out, not even as
    a cause, since they hold the request's headers.
    """

    def __init__(self, options: Options, proxies: Proxies = DIRECT) -> None:
        self._options = options
        self._url = options.base_url.rstrip("/") + "/chat/completions"
        self._proxies, self._proxy = proxies, proxies.of(self._url)
        self._gate = Gate(options.concurrency)
        self._gatherer = Gatherer(min(options.idle_timeout, options.progress_timeout) / 2)
        self._drains: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._gate.__enter__()
        self._gatherer.__enter__()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        drains = list(self._drains)
        for task in drains:
            task.cancel()
        await asyncio.gather(*drains, return_exceptions=True)
        self._gatherer.__exit__()
        self._gate.__exit__()
        if self._session is not None:
            await self._session.close()

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """See `core.ports.Completions`. The last chunk of a good answer is always `done`."""
        options = self._options
        fields = wire.body(request, options)
        wanted = fields.get("n")
        reading = Reading(
            wanted if isinstance(wanted, int) else 1, options.api_key, options.max_line
        )
        asked = time.monotonic()
        lesson = await self._gate.enter()
        queued = round((time.monotonic() - asked) * 1000)
        attempt = _Attempt(options, bool(fields.get("stream")), request.seconds)
        response: aiohttp.ClientResponse | None = None
        gathering: Gathering | None = None
        try:
            request.begun()
            response = await self._ask(wire.encode(fields), attempt)
            with noticed(response):
                while not reading.ended:
                    data = await attempt.read(response, reading, gathering)
                    chunks = reading.feed(data) if isinstance(data, bytes) else reading.end(data)
                    del data  # it may be large, and the next comes late
                    attempt.note(reading)
                    if reading.moved and not reading.complete and gathering is None:
                        transport = response.connection and response.connection.transport
                        gathering = self._gatherer.gather(transport, request.arrivals)
                    for chunk in chunks:
                        yield chunk
            if reading.failure:
                raise reading.failure
        except CompletionError as error:
            if error.failure is Failure.BUSY:
                self._gate.shrink(lesson)
            facts = {**attempt.facts(), **_facts(error)}
            _log.warning("completion.failed", queued_ms=queued, **facts)
            raise
        finally:
            self._gate.leave()
            if gathering is not None:
                gathering.leave()
            if response is not None:
                self._let_go(response, reading.complete)
            if reading.complete:
                self._gate.widen()
                facts = {**attempt.facts(), "finish": reading.finish}
                _log.info("completion.done", queued_ms=queued, **facts)

    async def _ask(self, body: bytes, attempt: "_Attempt") -> aiohttp.ClientResponse:
        """Send the request; a response with status 200. Raises: CompletionError."""
        if self._session is None:
            raise RuntimeError("DeepSeek is used outside of its async with block")
        if self._drains:
            await asyncio.wait(
                self._drains, timeout=DRAIN_WAIT, return_when=asyncio.FIRST_COMPLETED
            )
        failure: CompletionError
        try:
            async with attempt.waiting():
                response = await self._session.post(
                    self._url,
                    data=io.BytesIO(body),  # written in pieces, without blocking the loop
                    headers=self._headers(),
                    timeout=self._timeout(),
                    allow_redirects=False,
                    proxy=self._proxy,
                )
            if response.status == 200:
                return response
            failure = await self._refused(response)
        except aiohttp.ConnectionTimeoutError as error:
            failure = self._transport(error)
        except TimeoutError:
            failure = attempt.stalled()
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            failure = _unsendable()
        except (aiohttp.ClientError, OSError) as error:
            failure = self._transport(error)
        except ValueError:  # last: a refused certificate, which is one too, is told above
            failure = _unsendable()
        raise failure  # outside of the except blocks, so that no library error is its context

    async def _refused(self, response: aiohttp.ClientResponse) -> CompletionError:
        body = bytearray()
        try:
            with noticed(response):
                async with asyncio.timeout(ERROR_WAIT):
                    while len(body) < MAX_BODY and (block := await response.content.readany()):
                        body += block
        except (aiohttp.ClientError, OSError, RuntimeError):
            pass  # what came says enough
        finally:
            _close(response)
        return decipher(
            response.status, response.headers, bytes(body[:MAX_BODY]), self._options.api_key
        )

    def _timeout(self) -> aiohttp.ClientTimeout:
        """The library's own clock: connecting. It knows of no stand-still, so it has no other."""
        connect = self._options.connect_timeout
        return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect)

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        if self._options.api_key:
            headers["Authorization"] = f"Bearer {self._options.api_key}"
        return headers

    def _transport(self, error: Exception) -> CompletionError:
        trouble = self._proxies.trouble(self._url, error)
        if isinstance(trouble, Barred):
            return decipher(407, {}, b"")
        own = ""
        if trouble:
            own = str(trouble)
        elif isinstance(error, aiohttp.ConnectionTimeoutError):
            own = f"No connection within {self._options.connect_timeout:g} s."
        told = own or redact(f"{type(error).__name__}: {error}", self._options.api_key)
        return CompletionError(Failure.TRANSPORT, told[:300], own=bool(own))

    def _let_go(self, response: aiohttp.ClientResponse, complete: bool) -> None:
        """Close the connection, or read it to its end in the background to use it again."""
        if not complete:
            response.close()
        elif not response.content.at_eof():
            task = asyncio.get_running_loop().create_task(_drain(response))
            self._drains.add(task)
            task.add_done_callback(self._drains.discard)
            # Not the task's own work: one that is cancelled before it began does nothing.
            task.add_done_callback(lambda _: _close(response))


class _Attempt:
    """The clocks of one attempt, and what is worth a line in the log.

    Only time spent waiting for the API counts against the clocks of a stream: a consumer may take
    its time. seconds: left of the turn's own, in which everything counts.
    """

    def __init__(self, options: Options, stream: bool, seconds: float) -> None:
        self._options = options
        self._stream = stream
        self._seconds = min(seconds, options.turn_timeout)
        self._idle = options.idle_timeout if stream else math.inf  # a whole answer may be silent
        self._started = time.monotonic()
        self._waited = self._stood = 0.0
        self._moved = 0
        self._complete = False
        self._first: float | None = None

    @asynccontextmanager
    async def waiting(self, most: float = math.inf) -> AsyncIterator[None]:
        """Wait inside for the API, at most `most` seconds. Raises: TimeoutError.

        A wait in which the process stood still says nothing of the API: it begins anew, and what
        came meanwhile is read first.
        """
        limit = min(most, self._idle, self._left(), self._rest())
        call_later = asyncio.get_running_loop().call_later
        began = time.monotonic()
        timer: asyncio.TimerHandle | None = None

        def ran_out() -> None:
            nonlocal began, timer
            now = time.monotonic()
            if now - began < limit + LATE:
                scope.reschedule(0)
                return
            self._stood += now - began
            began, timer = now, call_later(limit, ran_out)

        over = limit <= 0  # at once then: what goes on coming must not be faster than a timer
        async with asyncio.timeout(0 if over else None) as scope:
            if not over:
                timer = call_later(limit, ran_out)
            try:
                yield
            finally:
                if timer is not None:
                    timer.cancel()
                self._waited += time.monotonic() - began

    def stalled(self) -> CompletionError:
        """The error for a clock that ran out."""
        limits = self._options
        if self._rest() <= _TICK or (self._left() <= _TICK and not self._stream):
            clock = Clock.TURN
            message = f"The answer was not finished within {limits.turn_timeout:g} s."
        elif self._left() <= _TICK and self._moved:
            clock = Clock.PROGRESS
            message = f"No further word of the answer came for {limits.progress_timeout:g} s."
        elif self._left() <= _TICK:
            clock = Clock.FIRST
            message = f"No word of an answer came for {limits.first_token_timeout:g} s."
        else:
            clock = Clock.IDLE
            message = f"Not a byte came for {limits.idle_timeout:g} s."
        return CompletionError(Failure.STALLED, message, clock=clock, own=True)

    async def read(
        self, response: aiohttp.ClientResponse, reading: Reading, gathering: Gathering | None
    ) -> bytes | CompletionError:
        """The next bytes, or why there are none. Raises nothing."""
        if gathering is not None:
            gathering.wanted = True
            if reading.complete:
                gathering.leave()
        most = min(self._behind(reading), self._left(), self._rest())
        try:
            async with self.waiting(most):
                data = await response.content.readany()
        except TimeoutError:
            # Once: behind that nothing has moved, so what goes on coming is no answer.
            drawn = most > 0 and gathering is not None and gathering.draw()
            sound = drawn and response.content.exception() is None
            return response.content.read_nowait() if sound else self.stalled()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            told = redact(f"{type(error).__name__}: {error}", self._options.api_key)
            message = f"The connection broke in the middle of the answer ({told})."[:300]
            return CompletionError(Failure.TRUNCATED, message)
        finally:
            if gathering is not None:
                gathering.rest()
        message = "The stream ended before the answer was finished."
        return data or CompletionError(Failure.TRUNCATED, message, own=True)

    def note(self, reading: Reading) -> None:
        """Reset the progress clock when the answer has moved; not behind its end."""
        if reading.moved > self._moved and not self._complete:
            self._waited = 0.0
            self._first = self._first or time.monotonic()
        self._moved = reading.moved
        self._complete = reading.complete

    def facts(self) -> dict[str, Any]:
        """For the log: milliseconds to the first delta and in all, and how many deltas."""
        first = self._first and round((self._first - self._started) * 1000)
        total = round((time.monotonic() - self._started) * 1000)
        return {"first_ms": first, "ms": total, "deltas": self._moved}

    def _behind(self, reading: Reading) -> float:
        """How much longer to wait when all that is shown is there; else without end."""
        if reading.complete:
            return LINGER - self._waited
        return OTHERS - self._waited if reading.settled else math.inf

    def _limit(self) -> float:
        if not self._stream:
            return self._seconds
        return self._options.progress_timeout if self._moved else self._options.first_token_timeout

    def _left(self) -> float:
        return self._limit() - self._waited

    def _rest(self) -> float:
        return self._seconds - (time.monotonic() - self._started - self._stood)


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end of the response, if it comes in time."""
    try:
        with noticed(response):
            async with asyncio.timeout(DRAIN):
                while await response.content.readany():
                    pass
    except (TimeoutError, aiohttp.ClientError, OSError, RuntimeError):
        pass  # the connection will not be used again


def _close(response: aiohttp.ClientResponse) -> None:
    """Give the connection back when the response was read to its end, else close it."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


def _unsendable() -> CompletionError:
    message = "The request can't be sent. Check DEEPSEEK_BASE_URL and DEEPSEEK_API_KEY."
    return CompletionError(Failure.CONFIGURATION, message, own=True)


def _facts(error: CompletionError) -> dict[str, Any]:
    return {
        "failure": error.failure.value,
        "status": error.status,
        "code": error.code,
        "trace_id": error.trace_id,
    }
