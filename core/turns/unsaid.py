"""What the API complains of, without what people said to it. Pure.

Gateways like to repeat a request in their complaints, and no message text may reach a log.
"""

import re
from collections.abc import Iterable

LEFT_OUT = "…"
_SHORT = 3
"""Characters below which a word tells nothing about who used it."""

_COMMON = frozenset({
    "and", "answer", "api", "are", "balance", "body", "broke", "but", "call", "can", "cannot",
    "certificate", "closed", "code", "completion", "connect", "connection", "content",
    "context", "could", "data", "does", "error", "exceeded", "exceeds", "exist", "exists",
    "expected", "failed", "field", "for", "format", "found", "from", "gateway", "have", "host",
    "html", "http", "input", "insufficient", "internal", "invalid", "its", "json", "key",
    "length", "limit", "maximum", "message", "messages", "middle", "minimum", "missing",
    "model", "must", "name", "not", "number", "one", "out", "page", "parameter", "peer",
    "please", "range", "rate", "reached", "reduce", "refused", "request", "requested",
    "requests", "required", "response", "risk", "role", "server", "service", "should", "ssl",
    "stream", "string", "support", "supported", "system", "text", "than", "that", "the", "this",
    "timeout", "token", "tokens", "too", "type", "unable", "unexpected", "unknown",
    "unsupported", "upstream", "user", "valid", "value", "verify", "was", "were", "with",
})  # fmt: skip
"""Words of which complaints are made, and that tell nothing by themselves either."""

# Escapes of JSON hide the words behind them, and what they stand for; then words, then the rest.
_ESCAPE = re.compile(r"\\+u[0-9a-fA-F]{4}")
_LINE = re.compile(r"\\+[nrt]")
_WORD = re.compile(r"[A-Za-z0-9_]+|[^\x00-\x7f]")
_BETWEEN = re.compile(r"[\x00-/:-@\[-^`{-\x7f]+")
_TOGETHER = re.compile(rf"{LEFT_OUT}(?:[^\w{LEFT_OUT}]*{LEFT_OUT})+")


def unsaid(complaint: str, said: Iterable[str]) -> str:
    """The complaint without the words that were said, or parts of such words; where several follow
    each other as they were said, without any of these.

    What is common in complaints stays where nothing else that was said stands with it. Letters that
    aren't ASCII count as words.
    """
    plain = _LINE.sub(" ", _ESCAPE.sub(LEFT_OUT, complaint))
    found = list(_WORD.finditer(plain))
    texts = _plain("\n".join(said))
    kept, at, first = [], 0, 0
    while first < len(found):
        last, begin = first, found[first].start()
        while last < len(found) and _plain(plain[begin : found[last].end()]) in texts:
            last += 1
        if any(_tells(word[0]) for word in found[first:last]):
            kept += [plain[at:begin], LEFT_OUT]
            at = found[last - 1].end()
        first = max(last, first + 1)
    return _TOGETHER.sub(LEFT_OUT, "".join(kept) + plain[at:])


def _plain(text: str) -> str:
    """Its words, whatever stands between them."""
    return _BETWEEN.sub(" ", text.casefold())


def _tells(word: str) -> bool:
    """Whether it may tell something about who used it."""
    return not word.isascii() or (len(word) >= _SHORT and word.lower() not in _COMMON)
