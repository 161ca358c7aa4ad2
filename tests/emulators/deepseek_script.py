"""What the DeepSeek stand-in is told to answer, and what it keeps of a request."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer. Times are seconds.

    pieces: the text of each chunk; None is the default answer. reasoning: the same, before.
    delay: after each chunk. times: of each piece, after the headers, instead.
    first_delay: before the headers. last_delay: before the body's end.
    usage: {} sends none, None counts. packet: bytes a write; 1 cuts every character.
    ending: what follows the pieces: "done" (finish and [DONE]), "finish" (no [DONE]), "end" (the
    body ends without a finish), "cut" (the connection breaks), "stall" (nothing more, or a comment
    every keep_alive seconds). error: an error object in the stream, behind the pieces.
    status, body, headers: an answer that is no stream; a dict is sent as JSON with a trace_id.
    whole: a whole completion even when a stream was asked for.
    """

    pieces: tuple[str, ...] | None = None
    reasoning: tuple[str, ...] = ()
    finish: str | None = "stop"
    usage: dict[str, Any] | None = None
    delay: float = 0.0
    times: tuple[float, ...] = ()
    first_delay: float = 0.0
    last_delay: float = 0.0
    packet: int | None = None
    ending: Literal["done", "finish", "end", "cut", "stall"] = "done"
    keep_alive: float = 0.0
    error: dict[str, Any] | None = None
    status: int = 200
    body: dict[str, Any] | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class Call:
    """One request. at: by the monotonic clock. sent: writes of its body. peer: the client's end.

    hung_up: the client went before the answer was over. finished: the answer was sent.
    sent_at: when each piece of the text was, seconds since the epoch.
    """

    at: float
    headers: dict[str, str]
    peer: tuple[str, int]
    body: dict[str, Any] = field(default_factory=dict)
    trace_id: str = ""
    status: int = 0
    sent: int = 0
    finished: bool = False
    hung_up: bool = False
    sent_at: list[float] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The text of the last message."""
        return str(self.body["messages"][-1]["content"])


def error_reply(status: int, code: str, message: str, **headers: str) -> Reply:
    """An error as Ace Data Cloud sends it. Header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"success": False, "error": {"code": code, "message": message}}
    return Reply(status=status, body=body, headers=named)


def default_pieces(call: Call) -> tuple[str, ...]:
    """A short, deterministic answer about the questions, a word a piece."""
    questions = [m["content"] for m in call.body["messages"] if m["role"] == "user"]
    form = call.body.get("response_format") or {}
    if form.get("type") == "json_object":
        text = json.dumps({"questions": len(questions), "last": questions[-1]})
    else:
        text = f"Question {len(questions)} was: {questions[-1]}"
    return tuple(re.findall(r"\s*\S+", text)) or (text,)
