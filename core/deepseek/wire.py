"""The chat-completion API's JSON: the body of a request, the chunks in an event. Pure.

Fields follow Ace Data Cloud's and DeepSeek's references. Several vendors answer behind one address
and disagree on everything but `choices` and `delta`, so an answer is read as plain values, each
taken only when it is what it should be: nothing that is missing, null or of another type raises.
"""

import json
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from core.deepseek.failures import decipher, is_error
from core.deepseek.options import Options
from core.deepseek.sse import DONE, Event
from core.errors import CompletionError, Failure
from core.types import Chunk, CompletionRequest, Message, Role, Usage


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: None = None


class _Word(msgspec.Struct, gc=False):
    choices: tuple[_Choice]
    usage: None = None
    error: None = None


class _Named(msgspec.Struct):
    id: str = ""
    model: str = ""


_words = msgspec.json.Decoder(list[_Word])
_named = msgspec.json.Decoder(_Named)

JSON_RULE = "Answer with one valid JSON object and nothing else."
"""json_object needs the word "json" in the messages (api-docs.deepseek.com/guides/json_mode)."""

FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls", "function_call"})
"""Finish reasons with which an answer is as long as it will get; any other one is a failure."""

_STOPS = frozenset(
    {"complete", "completed", "done", "end", "end_of_text", "end_turn", "eos", "eos_token", "eot"}
    | {"finish", "finished", "normal", "stop_sequence", "stop_token"}
)
_LENGTHS = ("max_tokens", "max_output_tokens", "_length", "_window_exceeded")  # how they end


def body(request: CompletionRequest, options: Options) -> dict[str, Any]:
    """The request as the API wants it: only what is set, no null, text that is valid Unicode."""
    optional = {
        "max_tokens": options.max_tokens if request.max_tokens is None else request.max_tokens,
        "temperature": options.temperature,
        "n": options.n,
        "response_format": options.response_format and {"type": options.response_format},
    }
    fields: dict[str, Any] = {
        "model": options.model,
        "messages": _messages(request.messages),
        "stream": options.stream,
        **optional,
        **options.extra_body,
    }
    form = fields.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_object":
        fields["messages"] = _with_json_rule(fields["messages"])
    return {name: value for name, value in fields.items() if value is not None}


def encode(fields: dict[str, Any]) -> bytes:
    """The bytes of a request's body."""
    return msgspec.json.encode(fields)


def decode(event: Event, secret: str = "") -> list[Chunk]:
    """What an event says; a chunk for every choice in it that says something.

    A data line that is no JSON object is no event of this API and gives nothing. Its text may have
    half of a surrogate pair, the other half of which comes next. secret: the key, so that no error
    repeats it.
    Raises: CompletionError: the event is an error, or is a JSON object that was cut off.
    """
    if event.data == DONE:
        return [Chunk(done=True)]
    if event.name == "error":
        raise decipher(200, {}, event.data, secret)
    if not event.data.lstrip().startswith(b"{"):
        return []
    found = parse(event.data)
    if not isinstance(found, dict):
        message = "The stream broke off inside an event."
        raise CompletionError(Failure.TRUNCATED, message, own=True)
    if is_error(found):
        raise decipher(200, {}, event.data, secret)
    return list(_chunks(found))


def words(data: bytes) -> tuple[Chunk, int] | None:
    """Many events at once that bring words of the first choice and nothing else: one chunk of all,
    and how many brought any.

    None: they are not of that kind, and `decode` has to look at each. This is nearly all that ever
    comes, and one object of known form is read several times faster than any number of unknown.
    """
    if not (data.startswith(b"data: {") and data.endswith(b"}\n\n")) or b"\r" in data:
        return None
    joined = data[6:-2].replace(b"\n\ndata: {", b",{")
    if b"\n" in joined:
        return None
    try:
        found = _words.decode(b"[%s]" % joined)
        last = _named.decode(data[data.rfind(b"\n\ndata: {", 0, -2) + 8 if len(found) > 1 else 6 :])
    except (ValueError, RecursionError):
        return None
    if len(found) != 1 + (len(data) - 8 - len(joined)) // 7:
        return None
    deltas = [word.choices[0].delta for word in found]
    texts = [each.content for each in deltas if each.content]
    reasons = [each.reasoning_content for each in deltas if each.reasoning_content]
    if bool(texts) == bool(reasons):
        return None
    text, reasoning = "".join(texts), "".join(reasons)
    chunk = Chunk(text=text, reasoning=reasoning, response_id=last.id, model=last.model)
    return chunk, len(texts) + len(reasons)


def parse(data: bytes) -> Any:
    """The JSON value in `data`, None when it is none.

    Broken UTF-8, unpaired surrogates and raw control characters come from real hosts: they cost a
    character, not the answer.
    """
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def valid(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced: it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def ending(finish_reason: str) -> str:
    """The API's own name of an ordinary end that a host calls by another; else what was said. Empty
    where that is in words that there is none yet.

    Inference servers and other APIs that stand behind gateways have names of their own, and some
    shout. What none of them says is left for `refusal`: it may be an error.
    """
    said = finish_reason.lower()
    if said in ("null", "none"):
        return ""
    if said in FINISHES:
        return said
    if said in _STOPS:
        return "stop"
    return "length" if said.endswith(_LENGTHS) else finish_reason


def refusal(finish_reason: str) -> CompletionError | None:
    """The failure that a finish reason stands for; None when it is an ordinary end."""
    if finish_reason in FINISHES:
        return None
    code = finish_reason[:60]
    if finish_reason == "insufficient_system_resource":
        message = "The API ran out of capacity in the middle of the answer."
        return CompletionError(Failure.SERVER, message, code=code, own=True)
    message = "The API ended the answer for a reason unknown here: see the code."
    return CompletionError(Failure.TRUNCATED, message, code=code, own=True)


def _messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": entry.role.value, "content": valid(entry.content)} for entry in messages]


def _with_json_rule(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put the rule into the system message, whatever the others say.

    If it came and went with the word "json" in the questions, the start of the request would
    change from turn to turn and the API's prefix cache would be lost.
    """
    first, *rest = messages or [{}]
    if first.get("role") != Role.SYSTEM:
        return [{"role": Role.SYSTEM.value, "content": JSON_RULE}, *messages]
    if "json" in first["content"].lower():
        return messages
    return [{**first, "content": f"{first['content']}\n\n{JSON_RULE}".lstrip()}, *rest]


def _chunks(found: dict[str, Any]) -> Iterable[Chunk]:
    response_id, model = _text(found.get("id")), _text(found.get("model"))
    usage = _usage(found.get("usage"))
    choices = found.get("choices")
    for position, choice in enumerate(choices if isinstance(choices, list) else []):
        if not isinstance(choice, dict):
            continue
        part = choice.get("delta")
        if not isinstance(part, dict):
            part = choice.get("message")
        if not isinstance(part, dict):
            part = {"content": choice.get("text")}
        index = _count(choice.get("index"), position)
        text = _joined(part.get("content"))
        reasoning = _text(part.get("reasoning_content")) or _text(part.get("reasoning"))
        finish = ending(_text(choice.get("finish_reason"))) or None
        if text or reasoning or finish:
            yield Chunk(
                response_id=response_id,
                model=model,
                index=index,
                text=text,
                reasoning=reasoning,
                finish_reason=finish,
                usage=usage,
            )
            usage = None
    if usage:
        yield Chunk(usage=usage, response_id=response_id, model=model)


def _usage(found: Any) -> Usage | None:
    """The counts; None when there are none, or only the zeros some hosts fill in."""
    if not isinstance(found, dict):
        return None
    prompt = found.get("prompt_tokens_details")
    completion = found.get("completion_tokens_details")
    cached = _count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else 0
    usage = Usage(
        prompt_tokens=_count(found.get("prompt_tokens")),
        completion_tokens=_count(found.get("completion_tokens")),
        total_tokens=_count(found.get("total_tokens")),
        cached_tokens=cached or _count(found.get("prompt_cache_hit_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens"))
        if isinstance(completion, dict)
        else 0,
    )
    counted = usage.prompt_tokens or usage.completion_tokens or usage.total_tokens
    return usage if counted else None


def _text(value: Any) -> str:
    """As `_joined`, but it can be encoded."""
    return valid(_joined(value))


def _joined(value: Any) -> str:
    """A string, or the text parts of a list of them; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in value)
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _count(value: Any, otherwise: int = 0) -> int:
    """A whole number that is not negative, else `otherwise`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return int(value) if 0 <= value < 2**53 else otherwise
