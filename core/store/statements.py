"""Statements that are built once and run at the price of the driver.

Each is written in SQLAlchemy Core, for both engines. Building one costs ten times its execution on
SQLite, and what SQLAlchemy does around an execution several times, on PostgreSQL too: so it is
compiled once for each engine, and the driver gets its text and values.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.selectable import CompoundSelect
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_

Values: TypeAlias = Mapping[str, Any]
"""Parameter -> value; those that a statement does not have are passed over."""

Core: TypeAlias = (
    Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]] | Insert | Update | Delete
)

_Processor: TypeAlias = Callable[[Any], Any]

F = TypeVar("F", bound=Callable[..., Any])

ALONE = "alone"
"""In `Connection.info` on PostgreSQL: whether the next statement needs no transaction."""

ERASED = "erased"
"""In `Connection.info`: whether words were overwritten that no file shall hold any more."""

_ALONE = set[Callable[..., Any]]()

_DOUBLE = 701
"""What PostgreSQL calls a number with a fraction (pg_type.oid of float8); we have no other."""


def one_statement(fn: F) -> F:
    """Say that a transaction which reads makes one statement and no more.

    That has a snapshot of its own, so a server is spared the beginning and the end of one.
    """
    _ALONE.add(fn)
    return fn


def stands_alone(fn: Callable[..., Any]) -> bool:
    """Whether that was said of it."""
    return fn in _ALONE


class Statement:
    """One statement with named parameters, for connections of either engine.

    A row has its columns as attributes and by position. Raises what the driver raises, and
    RuntimeError on a PostgreSQL connection without a transaction, where each would commit itself.
    """

    def __init__(self, core: Core) -> None:
        self.core = core

    def rows(self, conn: Connection, values: Values) -> Sequence[Any]:
        """Every row it gives."""
        compiled, found = self._fetched(conn, values)
        return compiled.rows(found)

    def plain(self, conn: Connection, values: Values) -> Sequence[Sequence[Any]]:
        """Every row as the driver gives it, by position only: for many rows at less cost.

        Raises TypeError for a statement with a column that has to be converted.
        """
        compiled, found = self._fetched(conn, values)
        if compiled.converts:
            raise TypeError(f"a column has to be converted: {compiled.sql}")
        return found

    def _fetched(
        self, conn: Connection, values: Values
    ) -> "tuple[_Compiled, Sequence[Sequence[Any]]]":
        if conn.dialect.name == "sqlite":
            compiled = self._on_sqlite
            return compiled, _sqlite(conn).execute(compiled.sql, compiled.bound(values)).fetchall()
        compiled = self._on_postgres
        return compiled, await_(_postgres(conn).fetch(compiled.sql, *compiled.bound(values)))

    def first(self, conn: Connection, values: Values) -> Any | None:
        """The first row; None without one."""
        rows = self.rows(conn, values)
        return rows[0] if rows else None

    def count(self, conn: Connection, values: Values) -> int:
        """How many rows it changed, for one that gives none."""
        if conn.dialect.name == "sqlite":
            compiled = self._on_sqlite
            return int(_sqlite(conn).execute(compiled.sql, compiled.bound(values)).rowcount)
        compiled = self._on_postgres
        done = await_(_postgres(conn).execute(compiled.sql, *compiled.bound(values)))
        return int(done.rpartition(" ")[2])  # "UPDATE 1", "INSERT 0 1"

    def each(self, conn: Connection, many: Sequence[Values]) -> None:
        """Run it with one set of values after the other."""
        if conn.dialect.name == "sqlite":
            compiled = self._on_sqlite
            _sqlite(conn).executemany(compiled.sql, map(compiled.bound, many))
        else:
            compiled = self._on_postgres
            await_(_postgres(conn).executemany(compiled.sql, map(compiled.bound, many)))

    @cached_property
    def _on_sqlite(self) -> "_Compiled":
        return _Compiled(self.core, sqlite.dialect(paramstyle="qmark"))

    @cached_property
    def _on_postgres(self) -> "_Compiled":
        from sqlalchemy.dialects.postgresql import asyncpg

        return _Compiled(self.core, asyncpg.dialect())  # type: ignore[no-untyped-call]


class _Compiled:
    """A statement as a driver takes it, with what converts values and rows."""

    def __init__(self, core: Core, dialect: Dialect) -> None:
        compiled = core.compile(dialect=dialect)
        if compiled.prefetch:
            raise TypeError(f"a column is left to its default, which nothing computes: {compiled}")
        self.sql = str(compiled)
        self._places: list[tuple[str | None, _Processor | None, Any]] = []
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            convert = _implementation(bind.type, dialect).bind_processor(dialect)
            constant = None if bind.required else bind.effective_value
            if convert and not bind.required:
                constant = convert(constant)
            self._places.append((bind.key if bind.required else None, convert, constant))
        columns = list(core.exported_columns)
        row = namedtuple("row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
        self._make: Callable[[Iterable[Any]], Any] = row._make
        processors = (
            _implementation(column.type, dialect).result_processor(dialect, _DOUBLE)
            for column in columns
        )
        self._converted = [(at, convert) for at, convert in enumerate(processors) if convert]

    @property
    def converts(self) -> bool:
        """Whether a row is not what the driver makes of it."""
        return bool(self._converted)

    def bound(self, values: Values) -> list[Any]:
        """The values as the driver takes them, by position."""
        return [
            constant if key is None else convert(values[key]) if convert else values[key]
            for key, convert, constant in self._places
        ]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Any]:
        """The driver's rows as ours."""
        if not self._converted:
            return list(map(self._make, found))
        return [self._make(self._as_stored(row)) for row in found]

    def _as_stored(self, row: Sequence[Any]) -> list[Any]:
        columns = list(row)
        for at, convert in self._converted:
            columns[at] = convert(columns[at])
        return columns


def _implementation(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return type_.dialect_impl(dialect)


def _sqlite(conn: Connection) -> Any:
    """The driver's connection, with a transaction begun as SQLAlchemy would begin it."""
    if not conn.in_transaction():
        conn.begin()
    return conn.connection.dbapi_connection


def _postgres(conn: Connection) -> Any:
    """The driver's connection, with the transaction that `core.store.postgres` began."""
    driver: Any = conn.connection.driver_connection
    if not driver.is_in_transaction() and not conn.info.pop(ALONE, False):
        raise RuntimeError("no transaction was begun")
    return driver
