"""INSERT with ON CONFLICT, which SQLite and PostgreSQL spell alike.

SQLAlchemy has a class for each. SQLite's is taken for both, so that PostgreSQL's dialect (2 MiB) is
imported only where it is used; what that misses in it, the name of a constraint, we never give.
"""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles


def insert(table: Table) -> sqlite.Insert:
    """An INSERT for both engines."""
    return sqlite.insert(table)


@compiles(OnConflictDoNothing, "postgresql")
@compiles(OnConflictDoUpdate, "postgresql")
def _on_postgres(clause: Any, compiler: Any, **options: Any) -> Any:
    clause.constraint_target = None
    return getattr(compiler, f"visit_{clause.__visit_name__}")(clause, **options)
