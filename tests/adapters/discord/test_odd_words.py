"""Half a pair of surrogates: people's words may hold one, and JSON can carry it."""

import json

from adapters.discord import calls

HALF = "\ud83d"


def test_it_is_sent_escaped() -> None:
    sent = calls._json({"content": HALF})
    assert sent == b'{"content": "\\ud83d"}'
    assert json.loads(sent) == {"content": HALF}


def test_it_is_read() -> None:
    assert calls._parsed(b'{"content": "\\ud83d"}') == {"content": HALF}
