"""What leaves for a platform pings nobody, hides no address and leaves code alone."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.delivery.sanitise import REACH, blocks, clean, sanitise, segments, undecided
from tests.core.delivery.markdown import documents

anything = documents | st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("see [the docs](https://a.example/b)!", "see the docs (https://a.example/b)!"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("[a.example](https://a.example/)", "https://a.example/"),
        ("[safe.example](https://evil.example)", "safe.example (https://evil.example)"),
        ('[t](https://a.example "title")', "t (https://a.example)"),
        ("[t](<https://a.example>)", "t (https://a.example)"),
        ("[t](https://a.example/x_(y))", "t (https://a.example/x_(y))"),
        ("[`f()`](https://a.example)", "`f()` (https://a.example)"),
        ("![alt](https://a.example/i.png)", "alt (https://a.example/i.png)"),
        ("![](https://a.example/i.png)", "https://a.example/i.png"),
        ("[x](javascript:alert(1))", "x (javascript:alert(1))"),
        ("[x](data:text/html,hi)", "x (data:text/html,hi)"),
        ("[[a](https://b.example)](https://c.example)", "[a (https://b.example)] (https://c.example)"),
        ("[two\nlines](https://a.example)", "[two\nlines] (https://a.example)"),
        (f"[{'x' * REACH}](https://a.example)", f"[{'x' * REACH}] (https://a.example)"),
        ("[t][r]\n\n[r]: https://a.example", "[t][r]\n\n[r] : https://a.example"),
        ("> - [r]: https://a.example", "> - [r] : https://a.example"),
        ("dict[str, int]: a mapping", "dict[str, int]: a mapping"),
        ("<https://a.example>", "https://a.example"),
        ("<mailto:a@b.example>", "mailto:a@b.example"),
        ("<!channel> <@U1> a < b", "<!channel> <@U1> a < b"),
        ("@everyone @HERE @Chan", "@\u200beveryone @\u200bHERE @Chan"),
        ("@Channel @heresy", "@\u200bChannel @\u200bheresy"),
        ("a@b.example @someone", "a@b.example @someone"),
        ("`@here` and\n```\n@channel\n```", "`@\u200bhere` and\n```\n@\u200bchannel\n```"),
        ("@every\x00one", "@\u200beveryone"),
        ("@[everyone](https://a.example)", "@[everyone] (https://a.example)"),
        ("a\x07b\r\nc\td\ud800", "ab\nc\td\ufffd"),
        ("\u202ehttps://a.example/moc.knab//:sptth", "https://a.example/moc.knab//:sptth"),
        ("\u2067\u202dabc\u202c\u2069\u200f", "\u2067abc\u202c\u2069\u200f"),
        ("`[a](https://b.example)`", "`[a](https://b.example)`"),
        ("```md\n[a](https://b.example)\n```", "```md\n[a](https://b.example)\n```"),
        ("~~~\n```\n[a](https://b.example)\n~~~", "~~~\n```\n[a](https://b.example)\n~~~"),
        ("`a\n`[b](https://c.example)`", "`a\n`[b] (https://c.example)`"),
        ("text\n        ```\n[b](https://c.example)", "text\n        ```\n[b] (https://c.example)"),
        ("`a\n\n`[b](https://c.example)`", "`a\n\n`[b](https://c.example)`"),
        ("```\n    ```\n[a](https://b.example)\n```", "```\n    ```\n[a](https://b.example)\n```"),
        ("> ```\n> x\n[b](https://c.example)", "> ```\n> x\nb (https://c.example)"),
        ("[`a](https://b.example)` c](https://d.example)", "[`a](https://b.example)` c] (https://d.example)"),
    ],
)  # fmt: skip
def test_what_is_sent(written: str, sent: str) -> None:
    assert sanitise(written) == sent


@given(anything)
@example("[q][(evil.example)](https://x.example)")
@example("<<https://a.example>x>")
@example("[1.](1.) ```\n[a](https://b.example)")
@example("[~~~](https://a.example)\n[a](https://b.example)")
@example("``x``[`a`](https://u.example) `[b](https://v.example)`")
@settings(max_examples=150, deadline=None)
def test_twice_is_once(text: str) -> None:
    once = sanitise(text)
    assert sanitise(once) == once


@given(anything)
@settings(max_examples=120, deadline=None)
def test_nothing_dangerous_is_left(text: str) -> None:
    sent = sanitise(text)
    lowered = sent.lower()
    assert not any(f"@{word}" in lowered for word in ("everyone", "here", "channel"))
    assert all(sign in "\n\t" or sign.isprintable() or ord(sign) > 0x9F for sign in sent)
    sent.encode()
    assert not any("](" in piece for code, piece in segments(sent) if not code)


@given(anything)
@settings(max_examples=120, deadline=None)
def test_segments_and_blocks_cover_the_text(text: str) -> None:
    assert "".join(piece for _, piece in segments(text)) == text
    assert "".join(text[block.start : block.end] for block in blocks(text)) == text


@given(documents)
@example("a\n``")
@example("[`a[0]`](https://b.example) c")
@example("a```\n```*b[`f`](https://c.example)")
@example("x![alt](https://a.example)")
@example("\\\\<https://e.example>")
@example("- ```py\n  code\n  ```\nafter")
@example("~~old~~ and\n~~~\ncode\n~~~\n")
@settings(max_examples=60, deadline=None)
def test_what_is_decided_keeps_its_look(text: str) -> None:
    final, before = sanitise(text), 0
    for end in range(len(text) + 1):
        safe = undecided(text[:end])
        assert before <= safe <= end
        before = safe
        assert final.startswith(sanitise(text[:safe]))


def test_a_fence_that_a_backtick_would_undo_is_held_back() -> None:
    text = "a ``` b\n```*c[`f`](https://d.example)"
    assert undecided(text[:15]) == 8
    assert undecided(text[:14]) == 8
    assert undecided(text) == len(text)


def test_hold_back_is_bounded() -> None:
    text = "[" + "x" * 3 * REACH
    assert len(text) - undecided(text) == 0
    assert undecided("see [the docs](https://a.exa") == 4
    assert undecided("mail @her") == 5
    assert undecided("a `b`") == 2  # another backtick would undo it
    assert undecided("a `b` ") == 6
    assert undecided("```p") == 0


def test_code_is_told_apart() -> None:
    assert segments("a `b` c\n```\nd\n```\ne") == [
        (False, "a "), (True, "`b`"), (False, " c\n"), (True, "```\nd\n```\n"), (False, "e"),
    ]  # fmt: skip


def test_clean_keeps_every_script() -> None:
    text = "مرحبا 🧑‍🚀 日本\u200b\u200f\u2067\u2069\n\t"
    assert clean(text) == text
