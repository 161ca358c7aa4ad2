"""What leaves for Discord: it pings nobody, hides nothing, and only grows while a text grows."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.discord.markup import LINE, NOTHING, measure, render
from core.delivery.markup import Splitter, completed, decided
from tests.core.delivery.markdown import PIECES

ZERO = "\u200b"
RULE = "─" * 12


@pytest.mark.parametrize(
    ("markdown", "sent"),
    [
        ("<@1> <@!1> <@&1> <#1>", f"<{ZERO}@1> <{ZERO}@!1> <{ZERO}@&1> <{ZERO}#1>"),
        ("</ask me:12> <:ok:34> <a:ok:34>", f"<{ZERO}/ask me:12> <{ZERO}:ok:34> <{ZERO}a:ok:34>"),
        ("<t:1700000000:R> <id:guide>", f"<{ZERO}t:1700000000:R> <{ZERO}id:guide>"),
        ("`<@1>`\n```\n<@&1>\n```", f"`<{ZERO}@1>`\n```\n<{ZERO}@&1>\n```"),
        ("@everyone `@here`", f"@{ZERO}everyone `@{ZERO}here`"),
        ("#### @**everyone**", f"**@{ZERO}everyone**"),
        ("<https://a.example>", "https://a.example"),
        ("[x](<https://a.example>) [y](z)", "x (https://a.example) [y] (z)"),
        ("<steam://run/1> \\<ab://c>", "\\<steam://run/1> \\<ab://c>"),
        ("a || b or c || d", f"a |{ZERO}| b or c |{ZERO}| d"),
        ("a ||| b", f"a |{ZERO}|{ZERO}| b"),
        ("`a || b`", "`a || b`"),
        ("-# small\n- -# x\n-#1", "\\-# small\n- \\-# x\n-#1"),
        (">>> print(1)\nrest", "> print(1)\nrest"),
        (">> twice\n> > too\n>once", "> twice\n> too\n> once"),
        ("- >>> x\ny", "- > x\ny"),
        ("# 1\n## 2\n### 3", "# 1\n## 2\n### 3"),
        ("#### A **b** ##\n> ##### C#", "**A b**\n> **C#**"),
        ("a\n\n---\n\nb\n* * *\nc", f"a\n\n{RULE}\n\nb\n{RULE}\nc"),
        ("a\n\n***", "a"),
        ("---", RULE),
        ("- [ ] open\n- [x] done", "- [ ] open\n- [x] done"),
        ("a<br>b <sub>2</sub> </div>", "a<br>b <sub>2</sub> </div>"),
        (r"\(a_1 < b\) and $x^2$", r"\(a_1 < b\) and $x^2$"),
        ("  \n  text \n ", "text"),
        ("", NOTHING),
        (f" {ZERO}\u2060\n\u3164", NOTHING),
        ("\U0001fa77", "\U0001fa77"),
    ],
)
def test_prose(markdown: str, sent: str) -> None:
    assert render(markdown) == sent


@pytest.mark.parametrize(
    ("markdown", "sent"),
    [
        ("a ` b\n\n`[x](https://e.example)`", "a \\` b\n\n`[x](https://e.example)`"),
        ("a ``` b\n\nc", "a \\`\\`\\` b\n\nc"),
        (r"\` and \\", r"\` and \\"),
        ("``a`b`` ```c```", "``a`b`` `c`"),
        ("```` a``b ````", f"`` a`{ZERO}`{ZERO}b ``"),
        ("https://a.example/`b c` `d`", "https://a.example/ `b c` `d`"),
        ("~~~py\nx\n~~~", "```py\nx\n```"),
        ('```py title="a.py"\nx\n```', "```py\nx\n```"),
        ("```{r}\nx\n```", "```\nx\n```"),
        ("````md\n```\nx\n```\n````", f"```md\n``{ZERO}`\nx\n``{ZERO}`\n```"),
        ("1. do\n   ```sh\n   a\n     b\n   ```\nend", "1. do\n```sh\na\n  b\n```\nend"),
        ("- ```\n  a\n  ```\nend", "- ```\na\n```\nend"),
        ("> ```\n> >>> a\n> ```\nend", "> ```\n> >>> a\n> ```\nend"),
        ("> ```\n> a\nend", "> ```\n> a\n> ```\nend"),
        ("```\n```\nend", f"```\n{ZERO}\n```\nend"),
        ("```\n#### a\n---\n| a |\n|---|\n```", "```\n#### a\n---\n| a |\n|---|\n```"),
        ("```md\n[a](https://b.example)\n```", "```md\n[a](https://b.example)\n```"),
    ],
)
def test_code(markdown: str, sent: str) -> None:
    assert render(markdown) == sent


def table(*rows: str) -> str:
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("markdown", "sent"),
    [
        (
            table("| Name | Wert | 中文 |", "|:--|--:|:-:|", "| a | 1 | 汉字 |", "| b | 1000 |"),
            table(
                "```",
                "Name │ Wert │ 中文",
                "─────┼──────┼─────",
                "a    │    1 │ 汉字",
                "b    │ 1000",
                "```",
            ),
        ),
        (
            table("|**a**|b|", "|-|-|", r"| `x \| y` | ~~_z_~~ \* |", "| 2 ** 3 | s_n_k | more |"),
            table(
                "```",
                "a      │ b",
                "───────┼──────",
                "x | y  │ z *",
                "2 ** 3 │ s_n_k │ more",
                "```",
            ),
        ),
        (
            table("| a | b |", "|---|---|", "| ⚠️ | é |", "| 👩‍💻 | é |"),
            table("```", "a  │ b", "───┼──", "⚠️ │ é", "👩‍💻 │ é", "```"),
        ),
        (
            table("| a |", "|---|", "| ```x``` |", "| <br>b<br/>c |", "end"),
            table("```", "a", "───────", "x", "/ b / c", "```", "end"),
        ),
        (table("text", "| a |", "|---|"), "text\n**a**"),
        (
            table("| F | **D** | |", "|---|---|---|", f"| `f` | {'x ' * 60}| y |", "| | **b** |"),
            table(
                "**F · D**",
                "- **`f`**",
                f"  - D: {('x ' * 60).strip()}",
                "  - y",
                "-",
                "  - D: **b**",
            ),
        ),
        (
            table("| Site | At |", "|---|---|", "| A | [a](https://a.example) |"),
            table("**Site · At**", "- **A**", "  - At: a (https://a.example)"),
        ),
        ("| a | b |\n| c | d |\n|---|---|", "| a | b |\n| c | d |\n|---|---|"),
        ("a | b\n---|---\n1 | 2", "a | b\n---|---\n1 | 2"),
    ],
)
def test_tables(markdown: str, sent: str) -> None:
    assert render(markdown) == sent


def test_a_cell_that_is_too_wide_widens_no_other_row() -> None:
    sent = render("| a | b |\n|---|---|\n| 1 | 2 |\n| " + "x" * 300 + " | 2 |\n| 3 | 4 |")
    widths = sorted(len(line) for line in sent.split("\n"))
    assert widths[-1] > 300
    assert widths[-2] <= LINE


def test_a_table_stays_one_when_a_wide_row_follows() -> None:
    text = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert "\n1 │ 2\n3 │ x x" in render(text + f"| 3 | {'x ' * 80}|")


def test_a_header_too_long_to_be_held_back_stays_as_it_was_shown() -> None:
    text = f"| {'h ' * 250}|\n|---|\n| 1 |"
    assert decided(text[:502]) == 502
    assert render(text) == text


def test_a_code_block_in_a_cell_ends_no_block() -> None:
    sent = render("| a |\n|---|\n| x \\`\\`\\` y |\n")
    assert sent.count("```") == 2


_CODE_BLOCK = re.compile(r"```(?:[a-z0-9_+\-.#]+?\n)?\n*[^\n].*?\n*```", re.IGNORECASE | re.DOTALL)
_INLINE_CODE = re.compile(r"(`+).*?[^`]\1(?!`)", re.DOTALL)
_ADDRESS = re.compile(r"https?://[^\s<]+[^<.,:;\"'\]\s]")
_ESCAPE = re.compile(r"\\[^0-9A-Za-z\s]")
_PINGS = re.compile(
    r"<@[!&]?\d+>|<#\d+>|</[^\n:]+:\d+>|<a?:\w+:\d+>|<t:-?\d+(:\w)?>|<id:\w+>|@(everyone|here)",
    re.IGNORECASE,
)
_HIDES = re.compile(r"\|\||\]\(|(?<!\\)<[^:\s>]{1,30}:/|```|^ *>>> |^[ >]*-# ", re.MULTILINE)


def seen_as_text(content: str) -> Iterator[str]:
    """What Discord doesn't take for code, read as its clients do: from left to right."""
    at = 0
    while at < len(content):
        for rule in (_CODE_BLOCK, _INLINE_CODE):
            if code := rule.match(content, at):
                yield " CODE "
                at = code.end()
                break
        else:
            kept = _ESCAPE.match(content, at) or _ADDRESS.match(content, at)
            end = kept.end() if kept else at + 1
            yield content[at:end].replace("\\`", "'")
            at = end


OWN_PIECES = (
    "<@1>", "<@&1>", "<#1>", "</a:1>", "<:ab:1>", "<t:1>", "<id:guide>", "<@!1", "||", "||x||",
    "-# ", ">>> ", "> ", "#### ", "---\n", "***", "- [ ] a\n", "https://f.example/", "<ftp://g>",
    "| **x** | `y \\| z` |\n", "| :-: | --: |\n", "| https://h.example |\n", "|", "\u200b",
    f"| {'long ' * 20}| w |\n", "\n\n| Name | Wert |\n|---|---:|\n| one | 2 |\n", "~~~~ py x\n",
    "- ```py\n  x = 1\n  ```\n", "* * *\n", "```\n\n```\n", "```\n```\n", "e", "1", " ", "\ud800",
)  # fmt: skip
documents = st.lists(st.sampled_from((*PIECES, *OWN_PIECES)), max_size=40).map("".join)

_inline = st.lists(
    st.sampled_from(
        ["word", "**bold**", "`a | b`", "[l](https://a.example)", "2*3", "汉字", "<@1>"]
    ),
    max_size=8,
).map(" ".join)
_cell = _inline.map(lambda text: text.replace("|", "\\|"))
_row = st.lists(_cell, min_size=1, max_size=4).map(lambda row: f"| {' | '.join(row)} |\n")
_table = st.builds(
    lambda header, columns, rows: header + "|" + " --: |" * columns + "\n" + "".join(rows) + "\n",
    _row,
    st.integers(1, 4),
    st.lists(_row, max_size=4),
)
_code = st.builds("{0}{1}\n  x = 1\n{2}\n\n{0}\n\n".format, st.sampled_from(["```", "~~~~"]),
                  st.sampled_from(["", "py", "c++ x"]), _inline)  # fmt: skip
_line = st.builds(
    "{}{}\n".format, st.sampled_from(["", "- ", "1. ", "> ", "##### ", "---\n"]), _inline
)
structured = st.lists(_table | _code | _line, max_size=4).map("".join)


@given(documents | st.text(max_size=100))
@example("https://a`b c` `[x](https://e.example) ||y||`")
@example("a `\n\n`[x](https://e.example)`")
@example("```\n```\n[x](https://e.example)\n```\n||a||\n```")
@settings(max_examples=300, deadline=None)
def test_nothing_pings_or_hides(markdown: str) -> None:
    sent = render(markdown)
    assert not _PINGS.search(sent)
    assert not _HIDES.search("".join(seen_as_text(sent)))


@given(documents | st.text(max_size=100))
@settings(max_examples=150, deadline=None)
def test_what_is_sent_can_be_sent_and_is_measured(markdown: str) -> None:
    sent = render(markdown)
    assert sent == sent.strip()
    assert re.search(r"[^\s\u200b\u2060\u3164]", sent)
    assert measure(markdown) == len(sent.encode("utf-16-le")) // 2


def seen(content: str) -> str:
    """The letters and digits that a reader sees, in order; a code block's language isn't seen."""
    content = re.sub(r"```[A-Za-z0-9_+\-.#]+\n", "", content.replace(ZERO, ""))
    return "".join(re.findall(r"[^\W_]", content))


@given(documents | structured)
@example("x\n\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 3 + "end")
@example("| F | D |\n|---|---|\n| f | " + "long " * 30 + "|\n| g | h |\n\n#### T\n***\nend")
@example("1. a\n   ```py\n   x = 1\n   ```\n2. b\n> 1. ```\n> x\n> ```\ny")
@settings(max_examples=60, deadline=None)
def test_what_is_shown_only_grows(text: str) -> None:
    before, shown = "", -1
    for end in range(1, len(text) + 1):
        safe = decided(text[:end]) if end < len(text) else end
        if safe > shown:
            now = seen(render(completed(text[:safe])))
            assert now.startswith(before)
            before, shown = now, safe


@given(documents | structured, st.sampled_from([120, 400]))
@settings(max_examples=60, deadline=None)
def test_parts_have_room(text: str, size: int) -> None:
    splitter = Splitter(size, measure)
    for sign in range(0, len(text), 7):
        splitter.feed(text[sign : sign + 7])
        assert measure(splitter.interim()) <= size
    splitter.finish()
    assert all(measure(part.text) <= size for part in splitter.sealed)


@pytest.mark.parametrize(
    "unit",
    [
        "<@1>", "<", "`", "` ", "a`b` ", "\\`", "|", "|\n", "| a | b |\n", "> ", ">\n", "- ", "-",
        "# ", "#### a\n", "* ", "*a ", "~~", "<a", "</", "https://a`b`", "```\n", "> ```\n> a\n",
        " ", "\t", "|---|\n", "\n", "\u200b", "é", "[a](b)", "1. ", ":-:|",
    ],
)  # fmt: skip
@pytest.mark.parametrize("head", ["", "| a | b |\n|---|---|\n|", "#### "])
def test_a_hundred_kilobytes_take_linear_time(head: str, unit: str) -> None:
    text = head + unit * (100_000 // len(unit))
    began = time.process_time()
    assert render(text)
    assert time.process_time() - began < 1.5


def test_a_table_of_20_000_rows_takes_linear_time() -> None:
    text = "| a | b |\n|---|--:|\n" + "| **some** `code` | words |\n" * 20_000
    began = time.process_time()
    assert render(text).count("\n") == 20_003
    assert time.process_time() - began < 3.0
