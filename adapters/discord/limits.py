"""What Discord's answers say about its rate limits. Pure: the time comes from outside.

Every route has a bucket for each major parameter (a channel, an interaction's token); several
routes may share one, which only the header `X-RateLimit-Bucket` tells. The sizes must not be hard
coded (docs.discord.com/developers/topics/rate-limits).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from core.types import Allowance, Left

DEFAULT_WAIT = 5.0
"""Seconds to wait after a 429 that doesn't say how long."""
ROUNDED = 0.001
"""Seconds added to a wait for a reset: Discord says it in thousandths, so it may come later."""
BANNED = 60.0
"""Seconds to leave Discord alone after a 429 that didn't come from it but from what guards it."""
GLOBAL = 45
"""Calls within any second that are made at most with the bot token; Discord takes 50."""
TOGETHER = Allowance("discord:all", burst=10, rate=35.0, shared=True)
"""The same for all processes of one bot: no second has more than `GLOBAL` calls of theirs."""
ANSWERS = Allowance("discord:answers", burst=1, rate=44.0)
"""Of `GLOBAL`, what texts are posted and edited by, so that those who wait are asked in turn."""
UNHEARD = 10.0
"""Seconds for which calls that have no answer yet count: by then they have one, or were lost."""
_MOST = 4096  # buckets that are remembered, and
_OVER = 60.0  # seconds for which, once they are full again


@dataclass(slots=True)
class _Bucket:
    """remaining: calls left until `reset`. made: when the latest call was. period: the most seconds
    from a call to the reset that were said. limit: the most calls in that time; 0: nobody said.
    """

    remaining: int
    reset: float
    made: float
    period: float
    limit: int

    def begin(self, now: float) -> None:
        """The first call since the reset is made: until it is answered, as many are believed to be
        given again as before.
        """
        if self.limit and self.period:
            self.remaining, self.reset = self.limit, now + min(self.period, UNHEARD)


class Buckets:
    """Who has to wait. Times are seconds of one monotonic clock.

    silent: calls in channels were answered, and no answer ever said what is left.
    """

    def __init__(self) -> None:
        self.silent = self._told = False
        self._names: dict[str, str] = {}  # route -> Discord's name of its bucket
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._began: dict[tuple[str, str], float] = {}  # first calls, until an answer says more
        self._blocked_until = 0.0
        self._banned_until = 0.0
        self._made: deque[float] = deque(maxlen=GLOBAL)  # when the latest calls were

    def take(self, route: str, major: str, now: float, *, counted: bool) -> float:
        """0.0: the call may be made and is counted. Else seconds after which to ask again.

        counted: the call falls under the limit that all calls with the bot token share.
        """
        if now < self._banned_until:
            return self._banned_until - now
        bucket = self._buckets.get(self._key(route, major))
        if bucket is not None and bucket.remaining <= 0 and now < bucket.reset:
            return bucket.reset - now + ROUNDED
        if counted and (wait := self._shared(now)) > 0:
            return wait
        if bucket is None:
            self._began[route, major] = now
            if len(self._began) > _MOST:
                del self._began[next(iter(self._began))]
        else:
            if now >= bucket.reset:
                bucket.begin(now)
            bucket.remaining -= 1
            bucket.made = now
        return 0.0

    def left(self, route: str, major: str, now: float) -> Left | None:
        """What is left for such calls; None when that isn't known."""
        bucket = self._buckets.get(self._key(route, major))
        if bucket is None or now >= bucket.reset:
            return None
        age = now - bucket.made
        return Left(max(0, bucket.remaining), bucket.reset - now, age, bucket.period)

    def heard(self, route: str, major: str, headers: Mapping[str, str], now: float) -> None:
        """Learn from the headers of an answer."""
        remaining = _number(headers.get("X-RateLimit-Remaining"))
        reset_after = _number(headers.get("X-RateLimit-Reset-After"))
        if remaining is None or reset_after is None:
            self.silent = self.silent or (bool(major) and not self._told)
            return
        self._told, self.silent = True, False
        key = self._key(route, major, headers)
        known, reset = self._buckets.get(key), now + reset_after
        began = self._began.pop((route, major), now)
        left, made = int(remaining), known.made if known is not None else began
        if known is not None and now < known.reset:  # calls still on their way are counted there
            left = min(left, known.remaining)
        period, limit = _most(known)
        period = max(reset_after, period)
        if (said := _number(headers.get("X-RateLimit-Limit"))) is not None:
            limit = max(int(said), int(remaining) + 1, limit)  # what is left, and this call
        self._keep(key, _Bucket(left, reset, made, period, limit), now)

    def refused(
        self, headers: Mapping[str, str], body: object, route: str, major: str, now: float
    ) -> float:
        """Learn from a 429; returns the seconds to wait.

        Without a `Via` header it comes from the guard in front of Discord, which bans whoever goes
        on (as discord.py 2.7.1 reads it, http.py:712): then nothing at all is called for a while.
        """
        said = body.get("retry_after") if isinstance(body, Mapping) else None
        wait = _number(said)
        if wait is None:
            wait = _number(headers.get("Retry-After"))
        guard = "Via" not in headers or not isinstance(body, Mapping)
        if wait is None:
            wait = BANNED if guard else DEFAULT_WAIT
        if guard:
            self._banned_until = max(self._banned_until, now + wait)
        elif of_everything(headers, body):
            self._blocked_until = max(self._blocked_until, now + wait)
        else:
            key = self._key(route, major, headers)
            known = self._buckets.get(key)
            if known is not None and known.remaining <= 0:  # a refusal of its own ends it no sooner
                wait = max(wait, known.reset - now)
            self._keep(key, _Bucket(0, now + wait, now, *_most(known)), now)
        return wait

    def _key(
        self, route: str, major: str, headers: Mapping[str, str] | None = None
    ) -> tuple[str, str]:
        """The bucket of a call, by the name that Discord gave it as soon as that is known."""
        if headers and (name := headers.get("X-RateLimit-Bucket")):
            self._names[route] = name
        return self._names.get(route, route), major

    def _keep(self, key: tuple[str, str], bucket: _Bucket, now: float) -> None:
        """Remember it instead of those that were heard of longest ago: two, so that they get fewer
        again, when they say nothing any more.
        """
        self._buckets.pop(key, None)
        self._buckets[key] = bucket
        for old in list(islice(self._buckets, 2)):
            if self._buckets[old].reset + _OVER < now or len(self._buckets) > _MOST:
                del self._buckets[old]

    def _shared(self, now: float) -> float:
        """The same question for the limit of all calls together."""
        if now < self._blocked_until:
            return self._blocked_until - now
        if len(self._made) == GLOBAL and (wait := self._made[0] + 1.0 - now) > 0:
            return wait
        self._made.append(now)
        return 0.0


def _most(known: _Bucket | None) -> tuple[float, int]:
    """Period and limit."""
    return (known.period, known.limit) if known is not None else (0.0, 0)


def of_everything(headers: Mapping[str, str], body: object) -> bool:
    """Whether a 429 is about all calls with the bot token."""
    said = isinstance(body, Mapping) and body.get("global") is True
    return said or headers.get("X-RateLimit-Global") == "true"


def _number(value: object) -> float | None:
    """A number of seconds or calls, however it is written; None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e9 else None
