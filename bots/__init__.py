"""Runnable processes: the only place that wires things together."""
