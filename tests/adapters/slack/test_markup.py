"""What leaves for Slack: nothing pings or masks in either reading, everything else is untouched."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.events import plain
from adapters.slack.markup import NOTHING, measure, render, which
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


LONG = "It is **so**, see `x < 1`, [the page](https://x.example/a?b=1&c=2) :+1: and 👍 there. "
AS_TOLD: dict[str, Callable[[str], str]] = {
    "as it was sent": lambda text: text,
    "in mrkdwn": lambda text: text.replace("**", "*").replace(
        "the page (https://x.example/a?b=1&c=2)", "<https://x.example/a?b=1&amp;c=2|the page>"
    ),
    "escaped": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "by names of emoji": lambda text: text.replace("👍", ":thumbsup:"),
    "without languages": lambda text: text.replace("```py\n", "```\n"),
    "without what nobody sees": lambda text: " ".join(text.replace("\u200b", "").split()),
}


@pytest.mark.parametrize("told", AS_TOLD)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_which_text_a_message_says_is_known_by_its_letters(told: str, count: int) -> None:
    texts = [LONG * (2 + n) + f"And **here**:\n\n```py\nx = {n}\n```" for n in range(4)]
    said = plain(AS_TOLD[told](render(texts[count])))
    assert which(said, texts) == texts[count]
    assert which(said, texts[count + 1 :]) is None
    assert which(said, []) is None


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("word1 word2", "word1 word2"),
        ("word1 word2.", "word1 word2."),
        ("word1 word2 word", "word1 word2 word"),
        ("👍", "👍"),
        ("", None),
        ("another word2", None),
        ("nothing of all that", None),
    ],
)
def test_which_of_short_texts_a_message_says(said: str, text: str | None) -> None:
    texts = ["👍", "word1", "word1 word2", "word1 word2.", "word1 word2 word"]
    assert which(said, texts) == text


@pytest.mark.parametrize(
    "piece", ["<!channel>", "<", "`<@U1>`", "<a://", "<" + "a" * 40, "[a](b) "]
)
def test_rendering_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.perf_counter()
    render(text)
    assert time.perf_counter() - started < 2.0
