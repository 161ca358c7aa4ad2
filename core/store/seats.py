"""Who of several processes does what only one may do: seats, held by an owner until a time.

A scope has so many seats, named "<scope>/<size>" and the number; who lives and how many seats it
wants stands beside them under the scope itself. Every function is one transaction. `now` is
seconds since the epoch, by the clock that all share; `lease` and `seconds` are seconds.
"""

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from core.seats import Seat, Seating
from core.store.clock import Now, set_back
from core.store.schema import seat
from core.store.upsert import insert

_BETWEEN = "/"


def renew(conn: Connection, scope: str, owner: str, lease: float, now: Now) -> frozenset[Seat]:
    """Hold for `lease` seconds from now what is held; returns it. Waits for nobody's looking.

    A seat whose lease ran out is lost, whether or not somebody took it.
    """
    mine = _held(scope, owner, now)
    statement = update(seat).where(mine).values(until=now + lease)
    rows = conn.execute(statement.returning(seat.c.scope, seat.c.name, seat.c.fence)).all()
    return frozenset(_seat(*row) for row in rows)


def look(conn: Connection, scope: str, owner: str, wanted: int, lease: float, now: Now) -> Seating:
    """Say that we live and want `wanted` seats in all; take free ones up to our fair share.

    The size is the largest that anybody who lives wants. While a seat of another size is held,
    none of this one is taken: the same work would be done twice. One looks at a time.
    """
    _alone(conn, scope)
    _shorten(conn, scope, lease, now)
    _appear(conn, scope, owner, wanted, lease, now)
    living = conn.execute(select(seat.c.fence).where(_lives(scope), seat.c.until > now)).scalars()
    wishes = list(living)
    size = max(wanted, *wishes)
    share = -(-size // max(1, len(wishes)))
    named = _named(scope, size)
    other = and_(_seats_of(scope), seat.c.scope != named, seat.c.until > now)
    if conn.execute(select(seat.c.name).where(other)).first() is None:
        _make(conn, named, size)
        _take(conn, named, owner, share, lease, now)
    mine = select(seat.c.scope, seat.c.name, seat.c.fence).where(_held(scope, owner, now))
    held = frozenset(_seat(*row) for row in conn.execute(mine))
    return Seating(size=size, share=share, living=len(wishes), held=held)


def release(conn: Connection, scope: str, owner: str, given: Seat) -> None:
    """Let go of one seat; nothing happens when it is not ours."""
    conn.execute(
        update(seat)
        .where(
            seat.c.scope == _named(scope, given.size),
            seat.c.name == str(given.number),
            seat.c.owner == owner,
            seat.c.fence == given.fence,
        )
        .values(owner=None, until=None)
    )


def leave(conn: Connection, scope: str, owner: str) -> None:
    """Let go of every seat, and live no more as far as the others' shares are concerned."""
    mine = seat.c.owner == owner
    conn.execute(update(seat).where(_seats_of(scope), mine).values(owner=None, until=None))
    conn.execute(delete(seat).where(_lives(scope), mine))


def take_over(conn: Connection) -> None:
    """Free every seat; only for who knows that whoever held them is no more.

    What is reserved stays so, since that is a matter of seconds.
    """
    conn.execute(delete(seat).where(~seat.c.scope.endswith(_BETWEEN)))


def reserve(conn: Connection, scope: str, owner: str, name: str, seconds: float, now: Now) -> bool:
    """Keep a name to ourselves for so long from now, again if it is ours; False: it is another's.

    Nobody renews it: it ends by its time.
    """
    statement = insert(seat).values(
        scope=f"{scope}{_BETWEEN}", name=name, owner=owner, until=now + seconds, fence=1
    )
    statement = statement.on_conflict_do_update(
        index_elements=[seat.c.scope, seat.c.name],
        set_={"owner": owner, "until": now + seconds, "fence": seat.c.fence + 1},
        where=or_(seat.c.owner == owner, seat.c.until <= now, set_back(seat.c.until, now)),
    )
    return conn.execute(statement.returning(seat.c.fence)).first() is not None


def _alone(conn: Connection, scope: str) -> None:
    """Wait until nobody else looks at this scope: counting and taking are one step."""
    door = {"scope": f"{scope}{_BETWEEN}", "name": "door"}
    conn.execute(insert(seat).values(**door, fence=0).on_conflict_do_nothing())
    here = and_(seat.c.scope == door["scope"], seat.c.name == door["name"])
    conn.execute(select(seat.c.fence).where(here).with_for_update())


def _shorten(conn: Connection, scope: str, lease: float, now: Now) -> None:
    """What was leased before the clock was set back ends `lease` seconds from now."""
    late = and_(or_(_lives(scope), _seats_of(scope)), set_back(seat.c.until, now))
    conn.execute(update(seat).where(late).values(until=now + lease))


def _appear(conn: Connection, scope: str, owner: str, wanted: int, lease: float, now: Now) -> None:
    """The row that says that we live; those of who lives no more are removed."""
    conn.execute(delete(seat).where(_lives(scope), seat.c.until <= now))
    row = {"owner": owner, "until": now + lease, "fence": wanted}
    statement = insert(seat).values(scope=scope, name=owner, **row)
    statement = statement.on_conflict_do_update(
        index_elements=[seat.c.scope, seat.c.name], set_=row
    )
    conn.execute(statement)


def _make(conn: Connection, named: str, size: int) -> None:
    """Every seat has its row."""
    there = select(func.count()).select_from(seat).where(seat.c.scope == named)
    if conn.execute(there).scalar_one() < size:
        rows = [{"scope": named, "name": str(number), "fence": 0} for number in range(size)]
        conn.execute(insert(seat).values(rows).on_conflict_do_nothing())


def _take(conn: Connection, named: str, owner: str, share: int, lease: float, now: Now) -> None:
    """Take what is free, the lowest numbers first, until we have our share."""
    names = select(seat.c.name).where(seat.c.scope == named)
    ours = names.where(seat.c.owner == owner, seat.c.until > now)
    room = max(0, share - len(conn.execute(ours).all()))
    free = sorted(conn.execute(names.where(_free(now))).scalars(), key=int)
    for name in free[:room]:
        conn.execute(
            update(seat)
            .where(seat.c.scope == named, seat.c.name == name, _free(now))
            .values(owner=owner, until=now + lease, fence=seat.c.fence + 1)
        )


def _held(scope: str, owner: str, now: Now) -> ColumnElement[bool]:
    """Ours, of every size."""
    return and_(_seats_of(scope), seat.c.owner == owner, seat.c.until > now)


def _free(now: Now) -> ColumnElement[bool]:
    return or_(seat.c.owner.is_(None), seat.c.until <= now)


def _seats_of(scope: str) -> ColumnElement[bool]:
    """The seats of a scope, of every size."""
    return seat.c.scope.startswith(f"{scope}{_BETWEEN}", autoescape=True) & (
        seat.c.scope != f"{scope}{_BETWEEN}"
    )


def _lives(scope: str) -> ColumnElement[bool]:
    """The rows of who takes part; fence is the size that it wants."""
    return seat.c.scope == scope


def _named(scope: str, size: int) -> str:
    return f"{scope}{_BETWEEN}{size}"


def _seat(named: str, name: str, fence: int) -> Seat:
    return Seat(number=int(name), size=int(named.rpartition(_BETWEEN)[2]), fence=fence)
