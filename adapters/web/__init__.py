"""The playground in the browser: one page that streams."""
