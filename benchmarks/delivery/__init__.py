"""The delivery laboratory: how long each character of a growing answer waits to be seen.

Our own reply, pacer and writer run on a virtual clock against models of the platforms' limiters,
beside the policies of other bots and a bound that knows the future. `make bench-delivery`.
"""
