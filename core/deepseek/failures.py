"""From an HTTP error, an error object in the stream or an HTML page to one CompletionError. Pure.

Codes are those in Ace Data Cloud's reference (token_mismatched, used_up, ...). DeepSeek's own
`code` is nearly always invalid_request_error, and gateways wrap the text of one error into the
status of another, so the message decides first, then the code, then the status. No key is ever
repeated.
"""

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any

from core.errors import CompletionError, Failure

MAX_BODY = 64 * 1024
"""Bytes of an error's body that are read."""

MAX_MESSAGE = 300
"""Characters of a message that are kept."""

_MOST = (
    r"max_tokens[^+;]{0,100}?(?:\[\s*\d+\s*,\s*|between \d+ and "
    r"|(?:at most|less than or equal to|<=)\s*[`'\"]?)(\d{3,9})\b(?![,.]\d)"
)
"""The largest max_tokens. Less than three digits are another field's: temperature's, say."""
_TOO_MUCH = (
    r"(?s)\A(?!.*?(?:\+|\bsum\b))"  # of which it is a part only
    rf".*?(?:max_tokens.{{0,40}}(?:valid range|too large|at most)|{_MOST})"
)

_MESSAGES: tuple[tuple[re.Pattern[str], Failure], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure)
    for pattern, failure in (
        (r"content exists risk|content.{0,20}moderat|sensitive content", Failure.MODERATED),
        (r"maximum context length|context_length_exceeded|context window", Failure.TOO_LONG),
        (_TOO_MUCH, Failure.MAX_TOKENS),
        (r"reasoning_content|successive (user|assistant)|(first|last) message", Failure.SHAPE),
        (r"model not exist|unsupported model", Failure.CONFIGURATION),
        (r"model.{0,80}(does not exist|not found|not supported)", Failure.CONFIGURATION),
        (r"insufficient balance|insufficient_quota", Failure.BALANCE),
        (r"rate limit", Failure.BUSY),
    )
)

_CODES: dict[str, Failure] = {
    "token_mismatched": Failure.CONFIGURATION,
    "api_not_implemented": Failure.CONFIGURATION,
    "no_token": Failure.CONFIGURATION,
    "disabled": Failure.CONFIGURATION,
    "no_api": Failure.CONFIGURATION,
    "model_not_found": Failure.CONFIGURATION,
    "invalid_token": Failure.CREDENTIALS,
    "token_expired": Failure.CREDENTIALS,
    "invalid_api_key": Failure.CREDENTIALS,
    "authentication_error": Failure.CREDENTIALS,
    "forbidden": Failure.CREDENTIALS,
    "used_up": Failure.BALANCE,
    "insufficient_quota": Failure.BALANCE,
    "context_length_exceeded": Failure.TOO_LONG,
    "content_filter": Failure.MODERATED,
    "request_entity_too_large": Failure.TOO_BIG,
    "content_too_large": Failure.TOO_BIG,
    "too_many_requests": Failure.BUSY,
    "rate_limit_exceeded": Failure.BUSY,
    "busy": Failure.SERVER,
    "timeout": Failure.SERVER,
}

_BARE = {*_CODES, "api_error", "bad_request"}
"""Codes that come as an error's only word, too."""

_STATUSES: dict[int, Failure] = {
    400: Failure.REFUSED,
    401: Failure.CREDENTIALS,
    402: Failure.BALANCE,
    403: Failure.CREDENTIALS,
    404: Failure.CONFIGURATION,
    405: Failure.CONFIGURATION,
    407: Failure.CREDENTIALS,
    408: Failure.SERVER,
    409: Failure.SERVER,
    413: Failure.TOO_BIG,
    422: Failure.REFUSED,
    429: Failure.BUSY,
}

_LIMITS = {
    Failure.TOO_LONG: re.compile(r"(?:length|window)\D{0,40}?(\d{3,9})", re.IGNORECASE),
    Failure.MAX_TOKENS: re.compile(_MOST, re.IGNORECASE),
}
_INPUT = re.compile(
    r"(\d{1,9}) (?:in the messages|in your prompt|of text input|input tokens)", re.IGNORECASE
)
_LEAST_ANSWER = 1024
"""Tokens: where the messages leave less of the context, leaving out some of them helps more."""

_KEYS = re.compile(r"\bsk-[\w-]{4,}|\bbearer\s+[^\s\"',}]+|(?<!\*)\*{2,}+[\w-]+", re.IGNORECASE)
_KEY = re.compile(r"key|token|authenti", re.IGNORECASE)  # what is said is about it
_OWN_STATUS = re.compile(r"[45][0-9]{2}")
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,1000}?)</title", re.IGNORECASE | re.DOTALL)
_REFUSED_KEY = "The API did not accept the key, or the key may not do this. Check DEEPSEEK_API_KEY."
_BARRED = "A proxy on the way did not accept our user and password. Check HTTPS_PROXY."
_REDIRECTED = "The API's address redirects, which is not followed. Check DEEPSEEK_BASE_URL."


def decipher(
    status: int, headers: Mapping[str, str], body: bytes, secret: str = "", said: str = ""
) -> CompletionError:
    """The error that a response stands for. status: 200 for an error inside a good response.

    secret: the key in use; it and whatever looks like a key is left out of every field. said: what
    is put before the message.
    """
    head = {name.lower(): value for name, value in headers.items()}
    found = _loads(body)
    code, message = _code_and_message(found)
    if not (isinstance(found, dict) or (isinstance(found, list | str) and message)):
        message = _page(body)
    if status == 200:
        status = _own_status(found)
    failure, limit = _limited(_failure(status, code, message), message)
    own = "" if message.strip() else _mute(status, body)
    elsewhere = status == 403 and not _KEY.search(f"{code} {message}")
    if failure is Failure.CREDENTIALS and not elsewhere:
        # DeepSeek's own text holds the key's last characters
        own = _BARRED if status == 407 else _REFUSED_KEY
    elif 300 <= status < 400:
        own = _REDIRECTED
    return CompletionError(
        failure,
        own or (said + redact(message, secret))[:MAX_MESSAGE],
        status=status,
        code=redact(code, secret)[:60],
        trace_id=redact(_trace_id(found, head), secret)[:128],
        retry_after=_retry_after(head),
        limit=limit,
        own=bool(own),
    )


def no_completion(body: bytes, secret: str = "") -> CompletionError:
    """The error that a good response stands for which is neither a completion nor an error object:
    a page, a text, a list. body: the beginning of it.
    """
    page = body.lstrip().startswith(b"<")
    return decipher(200, {}, body, secret, "" if page else "an answer that is no completion: ")


def is_error(found: Mapping[str, Any]) -> bool:
    """Whether a JSON object, received in place of an answer or in its middle, is an error."""
    if found.get("error"):
        return True
    if "choices" in found:
        return False
    return (
        found.get("success") is False
        or found.get("object") == "error"
        or ("code" in found and "message" in found)
    )


def redact(text: str, secret: str = "") -> str:
    """The text on one line, without the key, without whatever looks like one."""
    if secret:
        text = text.replace(secret, "[key]")
    return " ".join(_KEYS.sub("[key]", text).encode("utf-8", "replace").decode().split())


def _failure(status: int, code: str, message: str) -> Failure:
    for pattern, failure in _MESSAGES:
        if pattern.search(message):
            return failure
    if code.lower() in _CODES:
        return _CODES[code.lower()]
    if status == 0:
        bad = code.lower() in {"bad_request", "invalid_request_error"}
        return Failure.REFUSED if bad else Failure.SERVER
    if 300 <= status < 400:
        return Failure.CONFIGURATION
    return _STATUSES.get(status, Failure.REFUSED if 400 <= status < 500 else Failure.SERVER)


def _loads(body: bytes) -> Any:
    try:
        return json.loads(body[:MAX_BODY].decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def _code_and_message(found: Any) -> tuple[str, str]:
    """`error` may be an object, a list, null or a bare string: a code or a message. The top level
    counts for what it doesn't say.
    """
    error = found.get("error") if isinstance(found, dict) else found
    if isinstance(error, list):
        error = next((entry for entry in error if entry), None)
    bare = error if isinstance(error, str) else ""
    if bare and bare.lower() not in _BARE:
        return _word(_get(found, "code")), bare
    if not isinstance(error, dict):
        error = found if isinstance(found, dict) else {}
    names = ("code", "type", "status")
    code = bare or next((_word(error.get(name)) for name in names if _word(error.get(name))), "")
    message = error.get("message") or error.get("msg") or error.get("detail") or ""
    return code, message if isinstance(message, str) else json.dumps(message)


def _own_status(found: Any) -> int:
    """The HTTP status that an error in a good response names for itself; 0 without one."""
    error = _get(found, "error")
    for place in (error, found):
        for name in ("status", "status_code", "code"):
            value = str(_get(place, name))
            if _OWN_STATUS.fullmatch(value):
                return int(value)
    return 0


def _page(body: bytes) -> str:
    """What a body that is not JSON says: an HTML page's title, or the beginning of a text."""
    text = body[:MAX_BODY].decode("utf-8", "replace")
    title = _TITLE.search(text)
    if title:
        return f"an HTML page: {unescape(title[1]).strip()}"
    return "an HTML page" if text.lstrip().startswith("<") else text


def _mute(status: int, body: bytes) -> str:
    """What is told of an error that says nothing itself."""
    what = f"HTTP {status}" if status else "an error"
    return f"{what} without a {'message' if body.strip() else 'body'}"


def _trace_id(found: Any, head: Mapping[str, str]) -> str:
    places = (
        _get(found, "trace_id"),
        _get(_get(found, "error"), "trace_id"),
        head.get("x-request-id"),
        head.get("x-deepseek-request-id"),
    )
    return next(filter(None, map(_word, places)), "")


def _retry_after(head: Mapping[str, str]) -> float | None:
    """Seconds to wait (RFC 9110, 10.2.3). A date counts from the response's own `Date`."""
    value = head.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            until, now = (parsedate_to_datetime(text) for text in (value, head.get("date", "")))
            seconds = (until - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _limited(failure: Failure, message: str) -> tuple[Failure, int | None]:
    """The failure and the model's own maximum, when the message names it.

    The context also is too short for messages that fit by themselves: what is too long then is the
    answer that was asked for.
    """
    found = failure in _LIMITS and _LIMITS[failure].search(message)
    limit = int(found[found.lastindex or 0]) if found else None
    taken = _INPUT.search(message)
    if failure is Failure.TOO_LONG and limit and taken:
        left = limit - int(taken[1])
        if left >= _LEAST_ANSWER:
            return Failure.NO_ROOM, left
    return failure, limit


def _get(place: Any, name: str) -> Any:
    return place.get(name) if isinstance(place, dict) else None


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
