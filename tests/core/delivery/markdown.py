"""Markdown made of the pieces that splitting and sanitising have to care about."""

from hypothesis import strategies as st

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
