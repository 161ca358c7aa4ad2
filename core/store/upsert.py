"""INSERT with ON CONFLICT, which SQLite and PostgreSQL spell alike and SQLAlchemy does not."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(dialect: str, table: Table) -> sqlite.Insert:
    """The INSERT of an engine, by its name. The two classes have the methods we use in common."""
    if dialect == "postgresql":
        return postgresql.insert(table)  # type: ignore[return-value]
    return sqlite.insert(table)
