"""What reading many answers at a time costs: `python -m benchmarks.streams`."""
