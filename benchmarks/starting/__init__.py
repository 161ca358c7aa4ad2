"""How long the command takes to start, and what it weighs when it has nothing to do."""
