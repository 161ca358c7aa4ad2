"""The platform-neutral heart: turns, delivery, the API client, the store. Imports no adapter."""
