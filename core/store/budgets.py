"""Rate budgets that all processes on one PostgreSQL spend together: a row each.

A call takes its token in a transaction that holds the row, by the clock of the server. So all
together never get more than the allowance, whoever dies holds nothing, and what a platform said
to one counts for all.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, fields, replace

import structlog
from sqlalchemy import Connection, Double, bindparam, cast, delete, extract, func, select, update

from core.delivery.pacing import Desk, Level, Pacer, forget
from core.delivery.sharing import News, OwnBudget, Waits, alone, moved, steady, widening
from core.errors import StoreError
from core.store.opening import Transactions
from core.store.schema import budget
from core.store.upsert import insert
from core.types import NOTHING, Allowance, Kind, Unseen

log = structlog.get_logger()

PATIENCE = 1.0
"""Seconds that a call waits for the database, before it goes on by a share of its own."""
AWAY = 5.0
"""Seconds after which a database that didn't answer is asked again."""
FORGOTTEN = 24 * 3600.0
"""Seconds after which a budget that nobody asked for begins anew: it is full again anyway."""
_SHORTEST = 0.001  # seconds to wait: what floating point leaves of a token isn't asked for

# Not the statement's time: who waited for the row would have an older one than who had it before.
_now = cast(extract("epoch", func.clock_timestamp()), Double)
_level = [budget.c[field.name] for field in fields(Level)]

# Statements are built once and given parameters: building one costs several times its execution.
_MINE = budget.c.name == bindparam("mine")
_LOCK = select(*_level, _now).where(_MINE).with_for_update()
_KEEP = update(budget).where(_MINE).values({one: bindparam(one.name) for one in _level})
_MAKE = insert(budget).values(at=_now, blocked_until=0.0).on_conflict_do_nothing()
_OLD = (
    select(budget.c.name)
    .where(budget.c.at < _now - FORGOTTEN, budget.c.blocked_until < _now - FORGOTTEN)
    .with_for_update(skip_locked=True)
)
_FORGET = delete(budget).where(budget.c.name.in_(_OLD))


class SharedBudget(OwnBudget):
    """The budget of one process of several.

    What isn't shared is decided in memory. While the database can't be asked, calls go on by a
    share of the allowance (`core.delivery.sharing.SHARE`); they are counted when it is back.
    now: a monotonic clock, in seconds, of the event loop. patience: seconds for one question.
    """

    def __init__(
        self, database: Transactions, now: Callable[[], float], *, patience: float = PATIENCE
    ) -> None:
        super().__init__(now)
        self._database = database
        self._patience = patience
        self._accounts: dict[str, _Account] = {}
        self._away_until = float("-inf")

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        """Take a token of the row, and of the row of every wider allowance; of those who wait for
        one here, one asks at a time."""
        taken = list[Allowance]()
        for each in widening(allowance):
            if (wait := await self._take_one(each, kind, unseen)) > 0:
                for narrower in taken:
                    self._give_back(narrower)
                return wait
            taken.append(each)
        return 0.0

    async def _take_one(self, allowance: Allowance, kind: Kind, unseen: Unseen) -> float:
        if not allowance.shared:
            return await super().take(replace(allowance, within=None), kind, unseen)
        account = self._account(allowance)
        async with account.asking:
            wait = account.desk.queue.left(kind, unseen, self._now())
            if wait == 0:
                wait = await self._take(account, kind)
                account.desk.queue.told(kind, unseen, wait, account.desk.pacer, self._now())
            return wait

    def _give_back(self, allowance: Allowance) -> None:
        if allowance.shared:
            self._account(allowance).news += News(unasked=-1)
        else:
            self.returned(allowance)

    async def _take(self, account: "_Account", kind: Kind) -> float:
        """Ask the database, unless it said that this is futile by now."""
        if (wait := account.waits.left(kind, self._now())) > 0:
            return wait
        asked = await self._ask(account, kind)
        if asked is None:
            return self._take_alone(account, kind)
        if asked == 0:
            return 0.0
        wait = max(asked, _SHORTEST)
        account.waits.told(kind, self._now() + wait)
        return wait

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        """Block and lower the rows now; if that fails, with the next question."""
        for each in widening(allowance):
            await self._refused(each, retry_after)

    async def _refused(self, allowance: Allowance, retry_after: float) -> None:
        if not allowance.shared:
            await super().refused(replace(allowance, within=None), retry_after)
            return
        account, until = self._account(allowance), self._now() + retry_after
        account.waits.told(Kind.FINAL, until)
        account.news += News(refusals=1, until=until)
        if account.alone:
            account.alone.refused(retry_after, self._now())
        async with account.asking:
            await self._ask(account, None)

    async def succeeded(self, allowance: Allowance) -> None:
        """Raise the rows again, with the next question."""
        for each in widening(allowance):
            if each.shared:
                self._account(each).news += News(successes=1)
            else:
                await super().succeeded(replace(each, within=None))

    def desk(self, allowance: Allowance) -> Desk:
        """What a row held when it was asked last, and comes in; who spends it here: what the others
        write is their own to count.
        """
        return self._account(allowance).desk if allowance.shared else super().desk(allowance)

    def _account(self, allowance: Allowance) -> "_Account":
        """What is known here of an allowance; the latest ones are kept."""
        account = self._accounts.pop(allowance.key, None) or _Account(allowance)
        self._accounts[allowance.key] = account
        forget(self._accounts, lambda one: one.desk.queue)
        return account

    async def _ask(self, account: "_Account", kind: Kind | None) -> float | None:
        """Ask the database; None when it can't be."""
        now = self._now()
        if now < self._away_until:
            return None
        news, account.news = account.news, News()
        try:
            wait, level = await self._database.write(
                spend,
                account.allowance,
                kind,
                news,
                news.until - now,
                account.desk.queue.finals,
                patience=self._patience,
            )
        except StoreError as error:
            account.news += news
            if self._away_until == float("-inf"):
                log.warning("budget.alone", reason=str(error))
            self._away_until = self._now() + AWAY
            return None
        if self._away_until > float("-inf"):
            log.info("budget.shared_again")
            self._away_until = float("-inf")
        account.alone = None
        now = self._now()
        account.desk.pacer = Pacer(account.allowance, moved(level, now - level.at))
        return wait

    def _take_alone(self, account: "_Account", kind: Kind) -> float:
        """Decide here and now, by the share of one process."""
        now = self._now()
        account.alone = account.alone or alone(account.allowance, now)
        wait = account.alone.grant(kind, now, account.desk.queue.finals)
        account.desk.pacer = account.alone
        if wait == 0:
            account.news += News(unasked=1)
        return wait


class _Account:
    """What one process knows of a shared allowance.

    alone: set while the database is away. desk: with a pacer that knows the row as it was told
    last, by our own clock.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.asking = asyncio.Lock()
        self.waits = Waits()
        self.desk = Desk(allowance)
        self.news = News()
        self.alone: Pacer | None = None


def spend(
    conn: Connection,
    allowance: Allowance,
    kind: Kind | None,
    news: News,
    left: float,
    finals: int = 1,
) -> tuple[float, Level]:
    """Count the news, then ask for a call of a kind (None: don't); as `Budget.take`.

    left: seconds until the block that the news know of ends. finals: see `Pacer.grant`.
    Returns the level now, too. Only on PostgreSQL.
    """
    stored, now = _locked(conn, allowance)
    level = steady(stored, now)
    pacer = Pacer(allowance, level)
    news.tell(pacer, left, now)
    wait = 0.0 if kind is None else pacer.grant(kind, now, finals)
    told = pacer.level(now)
    if news or wait == 0 or level != stored:
        conn.execute(_KEEP, {"mine": allowance.key, **asdict(told)})
    return wait, told


def _locked(conn: Connection, allowance: Allowance) -> tuple[Level, float]:
    """The row, ours until the transaction ends, and the time; made full if there is none.

    With a row that is new goes what nobody has asked for in a long time, but for what somebody
    asks for just now.
    """
    mine = {"mine": allowance.key}
    row = conn.execute(_LOCK, mine).first()
    if row is None:
        full = {"tokens": allowance.burst, "rate": allowance.rate, "burst": allowance.burst}
        conn.execute(_MAKE, {"name": allowance.key, **full})
        conn.execute(_FORGET)
        row = conn.execute(_LOCK, mine).one()
    return Level(*row[:-1]), row[-1]
