"""The shipped command against the stand-ins in real time, beside the laboratory."""
