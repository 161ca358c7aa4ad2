"""Thousands of live answers through everything, in one process."""
