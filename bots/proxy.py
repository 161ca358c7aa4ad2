"""A proxy's address as it is given: checked, and shown without its password."""

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""Variables that everybody spells in small letters too."""


def checked(value: SecretStr) -> SecretStr:
    """The address with its scheme. The errors do not repeat it, since it may hold a password."""
    url = value.get_secret_value()
    if "://" not in url and ":" in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and url.isascii() and url.isprintable() and " " not in url
        good = good and parts.netloc.count("@") < 2 and ":" not in unquote(parts.username or "")
        # As the header needs it (aiohttp encodes user and password so).
        unquote(parts.netloc, errors="strict").encode("latin-1")
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "must be http://host:port or http://user:password@host:port, with %XX for what is "
            "neither a letter nor a digit in the password"
        )
    return SecretStr(url)


def shown(value: SecretStr) -> str:
    """The address without user and password."""
    parts = urlsplit(value.get_secret_value())
    user, _, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{place}{' with a user' if user else ''}"


def passwords(value: SecretStr) -> list[str]:
    """What must not reach a log: the password as it is written, and as it is."""
    password = urlsplit(value.get_secret_value()).password or ""
    return [password, unquote(password)]
