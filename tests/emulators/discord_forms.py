"""Forms (modals): what Discord accepts as one, and what it sends when a person fills it in. Pure.

https://docs.discord.com/developers/components/reference: rows and labels with one text input each,
and text to read.
"""

from collections.abc import Iterator
from typing import Any

from tests.emulators.discord_rules import (
    Json,
    bad_length,
    invalid,
    not_one_of,
    required,
    too_long,
)

ROW, TEXT_INPUT, TEXT, LABEL = 1, 4, 10, 18
TITLE, LABEL_LIMIT, ID, VALUE, COMPONENTS = 45, 45, 100, 4000, 5
_PLACEHOLDER = _DESCRIPTION = 100


def check(data: Any) -> None:
    """Refuse a form that Discord refuses (50035)."""
    if not isinstance(data, dict):
        raise required("data")
    for name, limit in (("title", TITLE), ("custom_id", ID)):
        _text(data, name, f"data.{name}", limit)
    parts = data.get("components")
    if not isinstance(parts, list) or not 1 <= len(parts) <= COMPONENTS:
        raise bad_length("data.components", 1, COMPONENTS)
    names: set[str] = set()
    for number, part in enumerate(parts):
        for field, at in _check_part(part, f"data.components.{number}"):
            _check_field(field, at)
            if field["custom_id"] in names:
                code = "COMPONENT_CUSTOM_ID_DUPLICATED"
                text = "Component custom id cannot be duplicated"
                raise invalid(f"{at}.custom_id", code, text)
            names.add(field["custom_id"])
    if not names:
        raise required("data.components")


def _check_part(part: Json, at: str) -> Iterator[tuple[Json, str]]:
    """The text input of a row or label and where it stands."""
    kind = part.get("type")
    if kind == ROW:
        inside = part.get("components")
        if not isinstance(inside, list) or len(inside) != 1:
            raise bad_length(f"{at}.components", 1, 1)
        _text(inside[0], "label", f"{at}.components.0.label", LABEL_LIMIT)
        yield inside[0], f"{at}.components.0"
    elif kind == LABEL:
        _text(part, "label", f"{at}.label", LABEL_LIMIT)
        if len(part.get("description") or "") > _DESCRIPTION:
            raise too_long(f"{at}.description", _DESCRIPTION)
        if not isinstance(part.get("component"), dict):
            raise required(f"{at}.component")
        yield part["component"], f"{at}.component"
    elif kind == TEXT:
        _text(part, "content", f"{at}.content", VALUE)
    else:
        raise not_one_of(f"{at}.type", (ROW, TEXT, LABEL))


def _check_field(field: Json, at: str) -> None:
    if field.get("type") != TEXT_INPUT:
        raise not_one_of(f"{at}.type", (TEXT_INPUT,))
    _text(field, "custom_id", f"{at}.custom_id", ID)
    if field.get("style") not in (1, 2):
        raise not_one_of(f"{at}.style", (1, 2))
    low, high = field.get("min_length"), field.get("max_length")
    for name, value, least in (("min_length", low, 0), ("max_length", high, 1)):
        if value is not None and not least <= value <= VALUE:
            text = f"int value should be between {least} and {VALUE}."
            raise invalid(f"{at}.{name}", "NUMBER_TYPE_MAX", text)
    if low is not None and high is not None and low > high:
        raise invalid(f"{at}.min_length", "TEXT_INPUT_MIN_MAX", "Must be at most max_length.")
    if len(field.get("value") or "") > (high or VALUE):
        raise too_long(f"{at}.value", high or VALUE)
    if len(field.get("placeholder") or "") > _PLACEHOLDER:
        raise too_long(f"{at}.placeholder", _PLACEHOLDER)


def _text(body: Json, name: str, at: str, limit: int) -> None:
    value = body.get(name)
    if value is None:
        raise required(at)
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise bad_length(at, 1, limit)


def filled(modal: Json, texts: dict[str, str]) -> list[Json]:
    """The components of the submission: every field, those not in `texts` as prefilled.

    Raises ValueError for what the form does not let a person send.
    """
    left = dict(texts)
    sent = [_filled(part, number, left) for number, part in enumerate(modal["components"], 1)]
    if left:
        raise ValueError(f"the form has no {sorted(left)}")
    return sent


def _filled(part: Json, number: int, left: dict[str, str]) -> Json:
    body: Json = {"type": part["type"], "id": part.get("id", number)}
    if part["type"] == ROW:
        return body | {"components": [_value(part["components"][0], number, left)]}
    if part["type"] == LABEL:
        return body | {"component": _value(part["component"], number, left)}
    return body


def _value(field: Json, number: int, left: dict[str, str]) -> Json:
    name = field["custom_id"]
    value = left.pop(name, field.get("value") or "")
    if not value and field.get("required", True):
        raise ValueError(f"{name} is required")
    low, high = field.get("min_length") or 0, field.get("max_length") or VALUE
    if value and not low <= len(value) <= high:
        raise ValueError(f"{name} takes {low} to {high} characters")
    return {"type": TEXT_INPUT, "id": 100 + number, "custom_id": name, "value": value}
