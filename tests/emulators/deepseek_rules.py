"""What the real API refuses in a request's body: (status, code, message), or None."""

import re
from typing import Any

Refusal = tuple[int, str, str]
_LONE = re.compile("[\ud800-\udfff]")


def refuse(body: Any, context: int, max_tokens: int) -> Refusal | None:
    """The first thing that is wrong. context and max_tokens: the model's limits, in tokens."""
    if not isinstance(body, dict):
        return _bad("The body must be an object.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        return _bad("model is required.")
    return (
        _messages(body.get("messages"), context)
        or _numbers(body, max_tokens)
        or _response_format(body)
    )


def _bad(message: str) -> Refusal:
    return 400, "bad_request", message


def _messages(messages: Any, context: int) -> Refusal | None:
    if not isinstance(messages, list) or not messages:
        return _bad("messages must be a list with at least one entry.")
    for entry in messages:
        if not isinstance(entry, dict) or set(entry) != {"role", "content"}:
            return _bad("A message has role and content and nothing else.")
        if entry["role"] not in ("system", "user", "assistant"):
            return _bad(f"unknown variant `{entry['role']}`, expected system, user, assistant")
        if not isinstance(entry["content"], str):
            return _bad("The content of a message must be a string.")
        if _LONE.search(entry["content"]):
            return _bad("unexpected end of hex escape")
    if not messages[-1]["content"].strip():
        return _bad("The last message is empty.")
    return _order([entry["role"] for entry in messages]) or _length(messages, context)


def _order(roles: list[str]) -> Refusal | None:
    if roles[-1] != "user":
        return _bad("The last message must be a user message.")
    if next(role for role in roles if role != "system") != "user":  # the reasoners do
        return _bad("The first message (except the system message) must be a user message.")
    return None


def _length(messages: list[Any], context: int) -> Refusal | None:
    tokens = sum(len(entry["content"].encode()) // 3 for entry in messages)
    if tokens > context:
        return _bad(
            f"This model's maximum context length is {context} tokens. "
            f"However, you requested {tokens} tokens. Please reduce the length of the messages."
        )
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(body: dict[str, Any], max_tokens: int) -> Refusal | None:
    temperature, n, most = (body.get(name) for name in ("temperature", "n", "max_tokens"))
    if not isinstance(body.get("stream", False), bool):
        return _bad("stream must be true or false.")
    if temperature is not None and not (_number(temperature) and 0 <= temperature <= 2):
        return _bad("Invalid temperature value, the valid range of temperature is [0, 2]")
    if n is not None and not (_number(n) and int(n) == n and 1 <= n <= 128):
        return _bad("Invalid n value, the valid range of n is [1, 128]")
    if most is not None and not (_number(most) and 1 <= most <= max_tokens):
        return _bad(f"Invalid max_tokens value, the valid range of max_tokens is [1, {max_tokens}]")
    return None


def _response_format(body: dict[str, Any]) -> Refusal | None:
    form = body.get("response_format")
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") not in ("text", "json_object"):
        return _bad("This response_format type is unavailable now")
    told = " ".join(m["content"] for m in body["messages"] if m["role"] != "assistant")
    if form["type"] == "json_object" and "json" not in told.lower():
        return _bad("Prompt must contain the word 'json' to use response_format json_object.")
    return None
