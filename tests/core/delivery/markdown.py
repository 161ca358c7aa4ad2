"""Markdown made of the pieces that splitting and sanitising have to care about."""

from hypothesis import strategies as st

from core.delivery.markup import Part, Splitter
from core.delivery.sanitise import sanitise

PIECES = (
    *"abc \n\n[]()<>`!@|~\\.:*_-#",
    "word ", "A sentence. ", "\n\n", "one line\n", "# Heading\n\n", "- item\n", "1. item\n",
    "```py\n", "```\n", "```", "~~~\n", "````\n", "  ```\n", "> ```\n", "> quoted\n", "    ```\n",
    "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "`code`", "``co`de``", "\\`",
    "[text](https://a.example/x)", "![alt](https://a.example/i.png)", "](", "](https://b.example)",
    "[https://a.example](https://a.example)", "[`f`](https://c.example)", "[x](javascript:y)",
    "[ref]", "[ref]: https://d.example\n", "<https://e.example>", "https:", "<!channel>", "<@U1>",
    "@everyone", "@here", "@channel", "@he", "🧑‍🚀", "e\u0301", "日本語。",
)  # fmt: skip

documents = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def measure(text: str) -> int:
    """UTF-16 units of the sanitised text, as Discord counts."""
    return len(sanitise(text).encode("utf-16-le")) // 2


def split(text: str, size: int) -> list[Part]:
    """All parts of a text that is complete."""
    splitter = Splitter(size, measure)
    splitter.feed(text)
    splitter.finish()
    return splitter.sealed
