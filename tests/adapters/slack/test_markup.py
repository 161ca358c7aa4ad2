"""What leaves for Slack: nothing pings or masks in either reading, everything else is untouched."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.markup import NOTHING, measure, render
from tests.emulators.slack_markup import masked_links, pings

ZERO = "\u200b"


@pytest.mark.parametrize(
    ("markdown", "sent"),
    [
        (
            "hi <!channel> <!here|here> <!everyone>",
            "hi &lt;!channel> &lt;!here|here> &lt;!everyone>",
        ),
        (
            "<!subteam^S01|@devs> <!date^1^{date}|x>",
            "&lt;!subteam^S01|@devs> &lt;!date^1^{date}|x>",
        ),
        ("<@U012> <@W012|bob> <#C012|dev>", "&lt;@U012> &lt;@W012|bob> &lt;#C012|dev>"),
        ("<slack://open|free money>", "&lt;slack://open|free money>"),
        ("`<!channel>`", f"`<{ZERO}!channel>`"),
        ("```\n<@U012>\n```", f"```\n<{ZERO}@U012>\n```"),
        ("``` <!here>\nx\n```", f"``` <{ZERO}!here>\nx\n```"),
        ("@channel", f"@{ZERO}channel"),
    ],
)
def test_tokens_are_broken(markdown: str, sent: str) -> None:
    assert render(markdown) == sent
    assert pings(sent) == []


@pytest.mark.parametrize(
    "markdown",
    [
        "if a < b && c > d: x &amp; y",
        "<b>bold</b> <!-- a comment --> <!DOCTYPE html>",
        "```html\n<!DOCTYPE html>\n<!-- x --><a href='#c'>\n```",
        "```ts\nconst a: Array<string|number> = [] as Map<T, A|B>\n```",
        "```cpp\nstd::vector<std::string> v; a<<b;\n```",
        "# Title\n\n**bold** _it_ ~~no~~ `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        "https://example.org/a_b?c=d&e=f#g",
        "a@example.org, 5 < 6, <3",
    ],
)
def test_everything_else_is_as_the_model_wrote_it(markdown: str) -> None:
    assert render(markdown) == markdown


@pytest.mark.parametrize("markdown", ["", " \n", ZERO, "\x00\ufe0f"])
def test_what_nobody_can_see_is_never_sent(markdown: str) -> None:
    assert render(markdown) == NOTHING


def test_a_scheme_that_is_none_makes_no_token_either() -> None:
    assert render("<é<https://evil.example|bank>") == "&lt;éhttps://evil.example|bank"


@pytest.mark.parametrize(
    "markdown",
    [
        "[bank](https://evil.example)",
        "<https://evil.example|bank>",
        "[bank][1]\n\n[1]: http://evil",
    ],
)
def test_links_show_where_they_lead(markdown: str) -> None:
    sent = render(markdown)
    assert masked_links(sent) == []
    assert "evil" in sent


PIECES = st.sampled_from(
    [
        *("<", ">", "!", "@", "#", "|", "^", "`", "``", "```", "~~~", "\n", "\n\n", " ", "\\", "&"),
        *("channel", "here", "everyone", "HERE", "subteam^S1", "date^1", "U012", "W1", "C012"),
        *(
            "<!channel>",
            "<@U012>",
            "<!here|x>",
            "@channel",
            "&lt;",
            "https://evil.example",
            "mailto:",
        ),
        *("[a]", "(https://evil.example)", "<https://evil.example|bank>", "](", "- ", "> ", "    "),
        *("\u200b", "\u202e", "\x00", "\ud800", "é", "x"),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_nothing_can_ping(markdown: str) -> None:
    sent = render(markdown)
    assert pings(sent) == []
    assert not re.search(r"<(?:!(?:channel|here|everyone|subteam)|[@#]\w)", sent, re.IGNORECASE)
    assert not re.search(r"<\w+://[^<>]*\|", sent)
    assert render(sent) == sent


@given(st.text(max_size=200) | st.lists(PIECES, max_size=25).map("".join))
def test_the_measure_is_of_what_is_sent(markdown: str) -> None:
    assert measure(markdown) == len(render(markdown).encode("utf-8"))


@pytest.mark.parametrize(
    "piece", ["<!channel>", "<", "`<@U1>`", "<a://", "<" + "a" * 40, "[a](b) "]
)
def test_rendering_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.perf_counter()
    render(text)
    assert time.perf_counter() - started < 2.0
