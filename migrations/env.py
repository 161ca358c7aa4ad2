"""What alembic runs: the migrations, on the connection and in the transaction that it is given.

It configures no logging: that is the process's own affair.
"""

from alembic import context

from core.store.schema import filter_on_postgres, metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    filter_on_postgres()
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
