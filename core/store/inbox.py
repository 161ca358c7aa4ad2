"""The durable inbox: take a prompt in, hand the next turn out.

Plain functions over a connection, one transaction each, called through `Database` or, by anyone
with an engine of their own, directly. `now` is seconds since the epoch, by a clock that all who
share the database share.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    ScalarSelect,
    Select,
    Table,
    Tuple,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from core.lifecycle import State
from core.ports import Turn
from core.store import leases
from core.store.clock import Now, Uptime, by_server, given, time_in
from core.store.outcomes import turn_of
from core.store.places import beyond
from core.store.schema import conversation, part, turn
from core.store.statements import Statement, one_statement
from core.store.upsert import insert
from core.types import ASIDE, Prompt, ThreadKey

MOST_OPEN = 10
"""Open turns of one conversation; what is asked beyond them is refused."""

_open = turn.c.settled_at.is_(None)
# In these states a claim finds what was not given back; of a delivered turn all is shown.
_BROKEN_OFF = (turn.c.state == State.CLAIMED, turn.c.state == State.ANSWERED)

_LOCK = Statement(
    select(conversation.c.id)
    .where(conversation.c.thread == bindparam("thread"))
    .with_for_update(key_share=True)
)
# The same, where something was asked before: what was said earlier was not for us.
_FOLLOWED = Statement(
    select(conversation.c.id)
    .where(
        conversation.c.thread == bindparam("thread"),
        select(turn.c.id)
        .where(turn.c.conversation_id == conversation.c.id, turn.c.sequence < bindparam("sequence"))
        .exists(),
    )
    .with_for_update(key_share=True)
)
_KNOWN = Statement(select(turn.c.id).where(turn.c.identity == bindparam("identity")))
_LET_GO = Statement(
    update(conversation)
    .where(conversation.c.id == bindparam("of"))
    .values(owner=None, lease_until=None)
)
_earlier, _later = turn.alias("earlier"), turn.alias("later")


def _in_order(turns: FromClause) -> Tuple:
    """What sorts the turns of a conversation."""
    return tuple_(turns.c.sequence, turns.c.id)


_before_it_was_open = (
    select(_earlier.c.settled_at >= turn.c.received_at)
    .where(
        _earlier.c.conversation_id == turn.c.conversation_id,
        _in_order(_earlier) < _in_order(turn),
    )
    .order_by(_earlier.c.sequence.desc(), _earlier.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_overtook_it = exists().where(
    _later.c.conversation_id == turn.c.conversation_id,
    _in_order(_later) > _in_order(turn),
    _later.c.id < turn.c.id,
    or_(_later.c.settled_at.is_(None), _later.c.settled_at >= turn.c.received_at),
)
# waited: whether the turn before this one was still open when this one came, or one behind it that
# had come before. Then its parts, or one row without any.
_AROUND = Statement(
    select(
        or_(_before_it_was_open, _overtook_it).label("waited"),
        part.c.position,
        part.c.part_id,
    )
    .select_from(turn)
    .outerjoin(part, part.c.turn_id == turn.c.id)
    .where(turn.c.id == bindparam("of"))
    .order_by(part.c.position)
)


def _how_many(others: FromClause, *which: ColumnElement[bool]) -> ScalarSelect[int]:
    """The number of others that are open in a turn's conversation."""
    here = others.c.conversation_id == turn.c.conversation_id, others.c.settled_at.is_(None)
    return select(func.count()).select_from(others).where(*here, *which).scalar_subquery()


# Not one number with an OR, for which SQLite would walk all turns of the conversation.
_AHEAD = Statement(
    select(
        _how_many(_earlier, _in_order(_earlier) < _in_order(turn))
        + _how_many(_later, _in_order(_later) > _in_order(turn), _later.c.state != State.RECEIVED)
    ).where(turn.c.identity == bindparam("identity"), turn.c.state == State.RECEIVED)
)


def accept(conn: Connection, prompt: Prompt, now: Now) -> bool:
    """Store the prompt; False when its identity is known or it follows up on nothing.

    Beyond `MOST_OPEN` open turns it is stored as crowded, in a conversation of its own: so it
    waits for none of them, and nothing waits for it.
    """
    if prompt.follow_up:
        if not _followed(conn, prompt):
            return False
    elif not _locked(conn, prompt.thread):
        _make(conn, prompt.platform, prompt.thread, now)
        _locked(conn, prompt.thread)
    if _store_turn(conn, prompt, prompt.thread, now, crowded=False):
        return True
    if _KNOWN.first(conn, {"identity": prompt.identity}):
        return False
    aside = ThreadKey(f"{prompt.thread}{ASIDE}{prompt.identity}")
    _make(conn, prompt.platform, aside, now)
    return _store_turn(conn, prompt, aside, now, crowded=True)


def _locked(conn: Connection, thread: ThreadKey) -> bool:
    """Whether there is the conversation; nobody else accepts into it until this is committed."""
    return _LOCK.first(conn, {"thread": thread}) is not None


def _followed(conn: Connection, prompt: Prompt) -> bool:
    """`_locked`, where a turn of the conversation comes before the prompt."""
    values = {"thread": prompt.thread, "sequence": prompt.sequence}
    return _FOLLOWED.first(conn, values) is not None


def _make(conn: Connection, platform: str, thread: ThreadKey, now: Now) -> None:
    """Make the conversation if there is none."""
    values = {"its_platform": platform, "its_thread": thread} | given(now)
    _making(by_server(now)).count(conn, values)


@cache
def _making(server: bool) -> Statement:
    return Statement(
        insert(conversation)
        .values(
            platform=bindparam("its_platform"),
            thread=bindparam("its_thread"),
            created_at=time_in(server),
            **_defaults(conversation),
        )
        .on_conflict_do_nothing(index_elements=[conversation.c.thread])
    )


def _store_turn(
    conn: Connection, prompt: Prompt, thread: ThreadKey, now: Now, *, crowded: bool
) -> bool:
    """Insert the turn into the conversation, which exists, if it is new and there is room."""
    values = given(now) | {
        "in_thread": thread,
        "its_identity": prompt.identity,
        "its_sequence": prompt.sequence,
        "its_author": prompt.author,
        "its_text": prompt.text,
        "its_address": prompt.address,
        "its_files": prompt.files,
        "its_follow_up": prompt.follow_up,
        "its_late": prompt.late,
        "its_crowded": crowded,
        "its_asked_at": prompt.asked_at,
    }
    return _storing(by_server(now)).first(conn, values) is not None


def _defaults(table: Table) -> dict[str, Any]:
    """Column name -> its default, for the columns that have one."""
    return {
        column.name: column.default.arg
        for column in table.c
        if isinstance(column.default, ScalarElementColumnDefault)
    }


@cache
def _storing(server: bool) -> Statement:
    """A column's value is the parameter `its_<column>`."""
    columns = (
        turn.c.identity,
        turn.c.sequence,
        turn.c.author,
        turn.c.text,
        turn.c.address,
        turn.c.files,
        turn.c.follow_up,
        turn.c.late,
        turn.c.crowded,
        turn.c.asked_at,
    )
    fixed = {"state": State.RECEIVED} | _defaults(turn)
    source = select(
        conversation.c.id,
        *(bindparam(f"its_{column.name}", type_=column.type) for column in columns),
        *(literal(value, turn.c[name].type) for name, value in fixed.items()),
        time_in(server),
    ).where(
        conversation.c.thread == bindparam("in_thread"),
        open_turns(bindparam("in_thread")).scalar_subquery() < MOST_OPEN,
    )
    names = ["conversation_id", *(column.name for column in columns), *fixed, "received_at"]
    return Statement(
        insert(turn)
        .from_select(names, source)
        .on_conflict_do_nothing(index_elements=[turn.c.identity])
        .returning(turn.c.id)
    )


def free_conversation(platforms: Sequence[str], now: Now, full: int = 0) -> Select[tuple[int]]:
    """The conversation that waits longest and that nobody holds, locked where rows can be.

    full: so many ranges of keys are left out, given by parameters (`_outside`).
    """
    return (
        select(turn.c.conversation_id)
        .join(conversation)
        .where(_open, leases.on(platforms), _free(now), *map(_outside, range(full)))
        .order_by(turn.c.received_at, turn.c.conversation_id)
        .limit(1)
        .with_for_update(of=conversation, key_share=True, skip_locked=True)
    )


def head_turn(conversation_id: int | BindParameter[int]) -> Select[tuple[int]]:
    """The open turn of a conversation that the platform ordered first."""
    return (
        select(turn.c.id)
        .where(_open, turn.c.conversation_id == conversation_id)
        .order_by(turn.c.sequence, turn.c.id)
        .limit(1)
    )


def claim(
    conn: Connection,
    owner: str,
    platforms: Sequence[str],
    lease: float,
    now: Now,
    uptime: Uptime,
    set_back: bool = False,
    full: Sequence[str] = (),
) -> Turn | None:
    """Take the head turn of the free conversation that waits longest, for `lease` seconds.

    A turn whose last worker died comes as it was left: claimed, or with its outcome.
    set_back: without one, look for leases from before the clock was set back.
    full: how the keys of conversations begin that are left where they are.
    """
    values = given(now) | {"who": owner, "lease": lease}
    for number, begin in enumerate(full):
        values |= {f"full_{number}": begin, f"beyond_{number}": beyond(begin)}
    take = _taking(tuple(platforms), by_server(now), len(full))
    while taken := take.first(conn, values):
        values_of_head = given(uptime.at) | {"of": taken.id}
        row = _claiming_head(by_server(uptime.at)).first(conn, values_of_head)
        if row is not None:
            around = _AROUND.rows(conn, {"of": row.id})
            waited = bool(around[0].waited)
            return turn_of(row, taken, around, waited=waited, since=uptime.since)
        # Where others write meanwhile: its last turn was settled between the look and the lock.
        _LET_GO.count(conn, {"of": taken.id})
    if set_back:
        leases.shorten(conn, platforms, now)
    return None


@lru_cache(maxsize=64)  # a process asks for its own platforms, always the same
def _taking(platforms: tuple[str, ...], server: bool, full: int) -> Statement:
    """Hold the conversation that is next, under a new fence."""
    now = time_in(server)
    return Statement(
        update(conversation)
        .where(conversation.c.id == free_conversation(platforms, now, full).scalar_subquery())
        .values(
            owner=bindparam("who"),
            lease_until=now + bindparam("lease", type_=Double()),
            fence=conversation.c.fence + 1,
        )
        .returning(
            conversation.c.id,
            conversation.c.platform,
            conversation.c.thread,
            conversation.c.fence,
        )
    )


@one_statement
def ahead(conn: Connection, identity: str) -> int:
    """How many open turns of its conversation the turn of this prompt waits for: those before it,
    and one behind it that is being answered already.
    """
    row = _AHEAD.first(conn, {"identity": identity})
    return int(row[0]) if row else 0


@one_statement
def waiting(conn: Connection, thread: ThreadKey) -> int:
    """How many turns of the conversation are open."""
    return int(_WAITING.rows(conn, {"thread": thread})[0][0])


def open_turns(thread: ThreadKey | BindParameter[ThreadKey]) -> Select[int]:
    """The number of open turns of the conversation, as a query."""
    return (
        select(func.count())
        .select_from(turn)
        .where(
            _open,
            turn.c.conversation_id
            == select(conversation.c.id).where(conversation.c.thread == thread).scalar_subquery(),
        )
    )


_WAITING = Statement(open_turns(bindparam("thread")))


@cache
def _claiming_head(server: bool) -> Statement:
    """Claim the first open turn of a conversation; all of it, and how long it has to settle."""
    return Statement(
        update(turn)
        .where(turn.c.id == head_turn(bindparam("of")).scalar_subquery())
        .values(
            state=case((turn.c.state == State.RECEIVED, State.CLAIMED), else_=turn.c.state),
            crashes=turn.c.crashes + case((or_(*_BROKEN_OFF), 1), else_=0),
        )
        .returning(turn, (turn.c.settle_at - time_in(server)).label("settles_in"))
    )


def _outside(number: int) -> ColumnElement[bool]:
    """The conversation's key doesn't begin as the parameter `full_<number>` does."""
    key = conversation.c.thread
    return or_(key < bindparam(f"full_{number}"), key >= bindparam(f"beyond_{number}"))


def _free(now: Now) -> ColumnElement[bool]:
    """No live lease."""
    return or_(conversation.c.owner.is_(None), conversation.c.lease_until < now)
