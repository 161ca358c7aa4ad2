"""Keys and tokens as they are given: nothing that none has, and of the kind that belongs there.

The errors do not repeat them.
"""

from collections.abc import Callable

from pydantic import SecretStr

_KINDS = {
    "xoxe.xoxb-": "a bot token",  # as Slack makes them where tokens are rotated
    "xoxb-": "a bot token",
    "xapp-": "an app-level token",
    "xoxe.xoxp-": "a user token",
    "xoxp-": "a user token",
    "xoxe-": "a refresh token",
}


def checked(value: SecretStr) -> SecretStr:
    """A key that can be sent in a header."""
    text = value.get_secret_value()
    if text[:1] in ("'", '"') or text[-1:] in ("'", '"'):
        raise ValueError("leave out the quotes: here they would be part of the value")
    scheme, space, _ = text.partition(" ")
    if space and scheme.lower() in ("bot", "bearer"):
        raise ValueError(f"leave out {scheme} and the space: it is added")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("contains a space, a line break or a character that no key has")
    return value


def of_slack(wanted: str) -> Callable[[SecretStr], SecretStr]:
    """Checks that a token of Slack isn't of another kind than the one that begins so. Kinds that
    aren't known are Slack's to judge.
    """

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        prefix = next((prefix for prefix in _KINDS if text.startswith(prefix)), "")
        if prefix and _KINDS[prefix] != _KINDS[wanted]:
            raise ValueError(
                f"this is {_KINDS[prefix]} ({prefix}...), but {wanted}... belongs here"
            )
        return value

    return check
