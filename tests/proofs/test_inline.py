"""What is open in a growing text is closed as CommonMark would read it, judged by markdown-it."""

import re
from itertools import pairwise

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.delivery.markup import Splitter, closed, completed, decided
from core.delivery.sanitise import REACH, sanitise

PARSER = MarkdownIt("commonmark").enable(["strikethrough", "table"])


def literal(text: str) -> str:
    """What a reader sees outside code of what a platform is sent."""
    seen: list[str] = []
    for token in PARSER.parse(sanitise(text)):
        for child in token.children or ():
            seen.append("\n" if child.type == "softbreak" else "")
            seen.append(child.content if child.type == "text" else "")
        seen.append("\n")
    return "".join(seen)


def signs(text: str) -> int:
    return len(re.findall(r"[*_~`\[\]]", literal(text)))


words = st.sampled_from(["word", "Some words", "日本語", "end.", "(so)", "one, two", "it's 7"])
decoys = st.sampled_from(["2 * 3", "snake_case", "a_b_c", r"\*", "5 ** 2", "x ~ y"])
code = st.sampled_from(["`f(*x)`", "`__init__`", "``a ` b``"])
links = st.sampled_from(["[the docs](https://a.example/b_c)", "<https://e.example>"])


def within(marks: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Text with emphasis by these marks, each of them nested at most once."""
    plain = st.lists(words | decoys | code | links, min_size=1, max_size=3).map(" ".join)
    if not marks:
        return plain
    emphasis = st.sampled_from(marks).flatmap(
        lambda mark: within(tuple(other for other in marks if other[0] != mark[0])).map(
            lambda inner: f"{mark}{inner}{mark}"
        )
    )
    return st.lists(words | decoys | code | links | emphasis, min_size=1, max_size=4).map(" ".join)


lines = within(("*", "**", "***", "_", "__", "~~"))
rows = lines.filter(lambda line: len(line) < 100)
paragraphs = st.lists(lines, min_size=1, max_size=3).map("\n".join)
pieces = (
    paragraphs
    | lines.map("# {}".format)
    | st.lists(lines, min_size=1, max_size=3).map(lambda items: "- " + "\n- ".join(items))
    | st.lists(lines, min_size=1, max_size=3).map(
        lambda items: "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))
    )
    | lines.map("> {}".format)
    | rows.map("| a | b |\n|---|---|\n| x | {} |".format)
    | lines.map("```py\n{}\n```".format)
)
answers = st.lists(pieces, min_size=1, max_size=3).map("\n\n".join)


@given(answers)
@settings(max_examples=60, deadline=None)
def test_no_state_of_a_good_answer_shows_a_sign_of_markup(text: str) -> None:
    meant = literal(text)
    for end in range(len(text) + 1):
        shown = closed(text[:end])
        seen = literal(shown)
        for line in seen.split("\n"):
            assert line.rstrip() in meant, (text, text[:end], shown)


soup = st.lists(
    st.sampled_from(
        ["*", "**", "***", "_", "__", "~~", "a", "b c", " ", "\n", "\n\n", "(", ")", "!", "- ",
         "# ", "> ", "1. ", "`x`", "日", "2*3", "\\*", "[a](https://b.example)",
         "https://c.example/d_e "]
    ),
    max_size=25,
).map("".join).filter(lambda text: "~~~" not in text)  # fmt: skip
"""Anything; three tildes and more are no emphasis on GitHub, but to markdown-it."""


@given(soup)
@example("_*\n*_(")
@settings(max_examples=300, deadline=None)
def test_what_is_added_closes_something(text: str) -> None:
    for end in range(len(text) + 1):
        shown = text[: decided(text[:end])]
        assert signs(completed(shown)) <= signs(shown), (shown, completed(shown))


@given(soup)
@settings(max_examples=300, deadline=None)
def test_decided_moves_on_and_keeps_little_back(text: str) -> None:
    for shorter, longer in pairwise(range(len(text) + 1)):
        assert decided(text[:shorter]) <= decided(text[:longer])
        assert decided(text[:shorter]) > shorter - REACH


@given(st.lists(answers, min_size=3, max_size=5).map("\n\n".join), st.integers(20, 60))
@settings(max_examples=25, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain})
def test_no_part_of_a_good_answer_shows_a_sign_of_markup(text: str, step: int) -> None:
    # CommonMark: in a paragraph, and so behind the end of an item, only "1." begins a list.
    text = re.sub(r"(?m)^\d\. ", "- ", text)
    meant = literal(text)
    splitter = Splitter(600, len)
    for at in range(0, len(text), step):
        splitter.feed(text[at : at + step])
        for line in literal(splitter.interim()).split("\n"):
            assert line.strip() in meant
    splitter.finish()
    for part in splitter.sealed:
        for line in literal(part.text).split("\n"):
            assert line.strip() in meant, (part.text, text)


@given(answers | soup, st.sampled_from([60, 97, 200]))
@example(
    f"word\n{'word ' * 3}[the docs](https://a.example/b_c)\n\n*word word* **`__init__` \\***", 97
)
@settings(max_examples=150, deadline=None)
def test_what_grows_is_never_taken_back(text: str, size: int) -> None:
    splitter = Splitter(size, len)
    grown: dict[int, str] = {}
    for sign in text:
        splitter.feed(sign)
        growing = splitter.growing()
        index = len(splitter.sealed)
        assert growing.startswith(grown.get(index, ""))
        grown[index] = growing
    splitter.finish()
    for index, growing in grown.items():
        final = splitter.sealed[index].text if index < len(splitter.sealed) else ""
        assert final.startswith(growing), (growing, final)
