"""INSERT with ON CONFLICT, which SQLite and PostgreSQL spell alike and SQLAlchemy does not."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(conn: Connection, table: Table) -> sqlite.Insert:
    """The engine's own INSERT. The two classes have the methods we use in common."""
    if conn.dialect.name == "postgresql":
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
