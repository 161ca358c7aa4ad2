"""Delivery: what of a growing answer is posted or edited, and when."""
