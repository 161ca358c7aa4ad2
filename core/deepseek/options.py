"""What a DeepSeek client is told once, when it is made. Pure data; `bots.settings` fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.deepseek.sse import MAX_LINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the API is, what is asked of it, and how long it may take. Times are seconds.

    base_url: everything before `/chat/completions`. api_key: the bearer token; empty sends none.
    temperature, max_tokens, n, response_format ("text" or "json_object"): not sent when None.
    extra_body: merged into the request last; a value of None takes the field out.
    stream: False asks for whole completions; chunks come out all the same.
    connect_timeout: name look-up, connection and TLS together.
    idle_timeout: between any two bytes of a stream, comments included.
    first_token_timeout, progress_timeout: until the first, and between any two, deltas with text or
    reasoning. turn_timeout: all attempts of a turn together, so one of them at most; a request says
    what is left of it. The only limit on the wait for a whole completion.
    concurrency: attempts under way at once. max_line: bytes of one line of the stream.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    model: str = "deepseek-v3"
    temperature: float | None = None
    max_tokens: int | None = None
    n: int | None = None
    response_format: str | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    connect_timeout: float = 10.0
    idle_timeout: float = 60.0
    first_token_timeout: float = 120.0
    progress_timeout: float = 60.0
    turn_timeout: float = 600.0
    concurrency: int = 32
    max_line: int = MAX_LINE
