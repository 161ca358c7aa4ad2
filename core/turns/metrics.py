"""What is counted about turns, in Prometheus's terms; served by bots under /metrics."""

from prometheus_client import Counter, Gauge, Histogram

from core.delivery.deliveries import How
from core.delivery.freshness import Figures
from core.errors import Failure
from core.types import Verdict

_FRESH = (0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 1.5, 2, 3, 5, 8, 15, 30, 60)
_CALLS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)

ACCEPTED = Counter("threadseek_prompts_accepted", "Prompts committed.", ["platform"])
TURNS = Counter(
    "threadseek_turns",
    "Turns that ended, by verdict; withdrawn, gone or abandoned: who asked, somebody else or the "
    "platform did not want the answer to be shown.",
    ["platform", "verdict"],
)
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

_HOW = ["platform", "lane"]  # lane: stream, edit, post (see core.delivery.freshness.Figures)
STALENESS = Histogram(
    "threadseek_staleness_seconds",
    "Mean over an answer's characters of visible minus arrived.",
    _HOW,
    buckets=_FRESH,
)
FIRST_PAINT = Histogram(
    "threadseek_first_paint_seconds", "First text from the API to visible.", _HOW, buckets=_FRESH
)
FINAL_LAG = Histogram(
    "threadseek_final_lag_seconds", "Last text from the API to all visible.", _HOW, buckets=_FRESH
)
CALLS = Histogram(
    "threadseek_delivery_calls",
    "Calls that show an answer, refused ones too.",
    _HOW,
    buckets=_CALLS,
)
REFUSED = Counter(
    "threadseek_delivery_refused", "Calls refused as too early (429).", ["platform", "method"]
)

_UNSHOWN = ("withdrawn", "gone", "abandoned")  # verdicts of turns whose outcome wasn't shown
for _failure in Failure:
    FAILURES.labels(_failure.value)
for _kind in ("prompt", "prompt_cached", "completion"):
    TOKENS.labels(_kind)


def from_zero(platform: str) -> None:
    """Have a platform's counters there before their first events, which no rate would see else."""
    for counter in (ACCEPTED, PARKED):
        counter.labels(platform)
    for verdict in (*Verdict, *_UNSHOWN):
        TURNS.labels(platform, verdict)
    for method in How:
        REFUSED.labels(platform, method.name.lower())


def delivered(platform: str, figures: Figures) -> None:
    """Count what the delivery of one answer came to."""
    for method, times in figures.refused.items():
        REFUSED.labels(platform, method).inc(times)
    if figures.lane is None:
        return
    CALLS.labels(platform, figures.lane).observe(figures.calls)
    for histogram, seconds in (
        (STALENESS, figures.staleness),
        (FIRST_PAINT, figures.first_paint),
        (FINAL_LAG, figures.final_lag),
    ):
        if seconds is not None:
            histogram.labels(platform, figures.lane).observe(seconds)
