"""What alembic runs: the migrations, on the connection that core.store.migrate gives.

It configures no logging: that is the process's own affair.
"""

from alembic import context

from core.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # SQLite can; alembic assumes it can't because the driver's default transactions can't.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
