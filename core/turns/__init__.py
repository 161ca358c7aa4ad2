"""Turns: which prompt is answered when, with which history, and what becomes of the answer."""
