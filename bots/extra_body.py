"""What DEEPSEEK_EXTRA_BODY may hold: a JSON object of request fields that have no variable; and how
the one that has both, the response format, is divided between them.
"""

import json
from typing import Any

_OWN = {"max_tokens", "model", "n", "response_format", "stream", "temperature"}
FORMATS = ("text", "json_object")
"""Those that DEEPSEEK_RESPONSE_FORMAT takes; a schema, say, can only be given here."""


def parsed(value: object) -> object:
    """The object of a text, anything else as it is. Raises: ValueError."""
    if not isinstance(value, str):
        return value
    found = _loads(value)
    if not isinstance(found, dict):
        raise ValueError('must be a JSON object such as {"top_p": 0.9}')
    return found


def format_name(value: object) -> object:
    """The name of a response format, given by itself or in the object that is sent. Raises:
    ValueError.
    """
    if not isinstance(value, str):
        return value
    found = _loads(value)
    name = found.get("type") if isinstance(found, dict) else value
    if name not in FORMATS:
        raise ValueError(
            "must be text or json_object; any other is given by DEEPSEEK_EXTRA_BODY, such as "
            '{"response_format": {"type": "json_schema", "json_schema": {...}}}'
        )
    return name


def _loads(text: str) -> object:
    """The value of a JSON text; None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def unreserved(value: dict[str, Any]) -> dict[str, Any]:
    """The same: nothing in it is set elsewhere. Raises: ValueError."""
    if "messages" in value:
        raise ValueError("messages can't be set here")
    taken = _OWN & value.keys()
    form = value.get("response_format")
    if isinstance(form, dict) and form.get("type") not in FORMATS:
        taken.discard("response_format")
    if taken:
        variables = ", ".join(f"DEEPSEEK_{name.upper()}" for name in sorted(taken))
        raise ValueError(
            f"leave out {', '.join(sorted(taken))} and use its own variable: {variables}"
        )
    return value


def sendable(value: dict[str, Any]) -> dict[str, Any]:
    """The same: a request can be made of it. Raises: ValueError."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError(
            "leave out \\ud800 to \\udfff: by itself each is half a character"
        ) from None
    except ValueError:
        raise ValueError("leave out a number that can't be sent: NaN, or one too large") from None
    return value
