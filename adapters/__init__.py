"""Adapters: one folder a platform; none imports another."""
