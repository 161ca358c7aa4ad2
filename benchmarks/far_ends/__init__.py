"""Thin stand-ins of the platforms and the API, each in a process of its own.

They answer by the far ends' shapes and check nothing: `tests/emulators` does that. What they save
by it is what a load of thousands of answers needs.
"""
