"""The store: turns and history in SQL, the same statements on every engine."""
