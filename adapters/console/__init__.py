"""The playground in the terminal."""
