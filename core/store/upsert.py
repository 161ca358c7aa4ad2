"""INSERT with ON CONFLICT, which SQLite and PostgreSQL spell alike.

SQLAlchemy has a class for each; SQLite's compiler takes PostgreSQL's, not the other way round.
"""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql


def insert(table: Table) -> postgresql.Insert:
    """An INSERT for both engines."""
    return postgresql.insert(table)
