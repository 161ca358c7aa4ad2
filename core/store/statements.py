"""Statements that are built once and run at the price of the driver.

Each is written in SQLAlchemy Core, for both engines. Building one costs ten times its execution on
SQLite, and what SQLAlchemy does around an execution several times: so there the statement is
compiled once, and the driver gets its text and values. With PostgreSQL the way to the server costs
more than all of that, and SQLAlchemy executes.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from sqlalchemy import Connection, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.selectable import CompoundSelect
from sqlalchemy.types import TypeEngine

Values: TypeAlias = Mapping[str, Any]
"""Parameter -> value; those that a statement does not have are passed over."""

Core: TypeAlias = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]] | Insert | Update

_Processor: TypeAlias = Callable[[Any], Any]


class Statement:
    """One statement with named parameters, for connections of either engine.

    A row has its columns as attributes and by position. Raises what the driver, or SQLAlchemy,
    raises.
    """

    def __init__(self, core: Core) -> None:
        self.core = core

    def rows(self, conn: Connection, values: Values) -> Sequence[Any]:
        """Every row it gives."""
        if conn.dialect.name != "sqlite":
            return conn.execute(self.core, values).all()
        compiled = self._on_sqlite
        found = _driver(conn).execute(compiled.sql, compiled.bound(values)).fetchall()
        return compiled.rows(found)

    def first(self, conn: Connection, values: Values) -> Any | None:
        """The first row; None without one."""
        rows = self.rows(conn, values)
        return rows[0] if rows else None

    def count(self, conn: Connection, values: Values) -> int:
        """How many rows it changed, for one that gives none."""
        if conn.dialect.name != "sqlite":
            return conn.execute(self.core, values).rowcount
        compiled = self._on_sqlite
        return int(_driver(conn).execute(compiled.sql, compiled.bound(values)).rowcount)

    def each(self, conn: Connection, many: Sequence[Values]) -> None:
        """Run it with one set of values after the other."""
        if conn.dialect.name != "sqlite":
            conn.execute(self.core, many)
            return
        compiled = self._on_sqlite
        _driver(conn).executemany(compiled.sql, map(compiled.bound, many))

    @cached_property
    def _on_sqlite(self) -> "_Compiled":
        return _Compiled(self.core)


class _Compiled:
    """A statement as SQLite's driver takes it, with what converts values and rows."""

    def __init__(self, core: Core) -> None:
        dialect = sqlite.dialect(paramstyle="qmark")
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
            _implementation(column.type, dialect).result_processor(dialect, None)
            for column in columns
        )
        self._converted = [(at, convert) for at, convert in enumerate(processors) if convert]

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


def _driver(conn: Connection) -> Any:
    """The driver's connection, with a transaction begun as SQLAlchemy would begin it."""
    if not conn.in_transaction():
        conn.begin()
    return conn.connection.dbapi_connection
