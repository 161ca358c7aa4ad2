"""What is counted about turns, in Prometheus's terms; served by bots under /metrics."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)

ACCEPTED = Counter("threadseek_prompts_accepted", "Prompts committed.", ["platform"])
TURNS = Counter("threadseek_turns", "Turns that ended, by verdict.", ["platform", "verdict"])
PARKED = Counter(
    "threadseek_turns_parked", "Turns given up because work on them broke off.", ["platform"]
)
ACTIVE = Gauge("threadseek_turns_active", "Turns being answered now.")
FAILURES = Counter("threadseek_completion_failures", "Failed API attempts.", ["failure"])
TOKENS = Counter("threadseek_tokens", "Tokens as the API counted them.", ["kind"])
FIRST_CHUNK = Histogram(
    "threadseek_first_chunk_seconds", "Request to first text or thinking.", buckets=_SECONDS
)
TURN_SECONDS = Histogram(
    "threadseek_turn_seconds", "Claim to whole answer visible.", buckets=_SECONDS
)
