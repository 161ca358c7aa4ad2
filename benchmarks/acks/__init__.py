"""From an event to its acknowledgement, beside the same SDK with nothing behind it."""
