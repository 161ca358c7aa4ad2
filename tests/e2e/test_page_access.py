"""The page for those who listen to it, select in it, have little light or a small screen."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser import ask, browser_page, needs_chromium
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply

pytestmark = needs_chromium

GROWING = Reply(
    pieces=(
        "Once `upon` a time, ",
        *("and then ",) * 30,
        "\n```\nx = 1\n",
        "y = 2\n```\n",
        "The end.",
    ),
    delay=0.05,
)
# Keeps whatever a screen reader would read out by itself.
LISTEN = """
  window.heard = [];
  addEventListener("DOMContentLoaded", () => {
    for (const live of document.querySelectorAll("[aria-live], [role=status], [role=alert]"))
      new MutationObserver(() => live.textContent.trim() && heard.push(live.textContent))
        .observe(live, { childList: true, characterData: true, subtree: true });
  });
"""
# What a person does who draws the mouse over the words that stand there so far.
SELECT = """
  const words = document.querySelector(".assistant .words");
  getSelection().setBaseAndExtent(words.firstChild, 0, words.lastChild, words.lastChild.length);
"""


async def heard(page: Page) -> list[str]:
    """What was read out since the page was loaded."""
    found: list[str] = await page.evaluate("heard")
    return found


async def test_an_answer_is_read_out_once_when_it_is_whole(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, GROWING, Reply(pieces=("Short.",)))
    async with running(tmp_path, settings) as service, browser_page() as (page, errors):
        await page.add_init_script(LISTEN)
        await page.goto(service.address)
        await ask(page, "tell me")
        await page.wait_for_selector(".assistant:has-text('The end.')")
        await expect(page.locator("#announcer")).to_contain_text("The end.")
        said = [words for words in await heard(page) if not words.endswith("…")]
        assert len(said) == 1
        assert said[0].startswith("Threadseek: Once upon a time, and then ")
        await ask(page, "and now?")
        await expect(page.locator("#announcer")).to_have_text("Threadseek: Short.")
        names = await page.get_by_role("heading", level=2).all_text_contents()
        assert names == ["You", "Threadseek"] * 2
        await page.reload()
        await page.wait_for_selector(".assistant >> nth=1")
        await page.wait_for_timeout(300)
        assert await heard(page) == []
        assert not errors


async def test_what_is_selected_stays_selected_while_an_answer_grows(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, GROWING)
    async with running(tmp_path, settings) as service, browser_page() as (page, _):
        await page.goto(service.address)
        await ask(page, "tell me")
        await page.wait_for_selector(".assistant:has-text('and then and then')")
        await page.evaluate(SELECT)
        selected = await page.evaluate("getSelection().toString()")
        await page.wait_for_selector(".assistant:has-text('The end.')")
        kept: str = await page.evaluate("getSelection().toString()")
        assert "upon a time, and then" in selected
        assert kept == selected
        assert await page.locator(".assistant pre").text_content() == "x = 1\ny = 2"


# How much each kind of text stands out from what is behind it, as the guidelines compute it.
CONTRAST = r"""([selector, pseudo]) => {
  const parse = text => [...text.match(/[\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => c.map(v => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const node = document.querySelector(selector), own = getComputedStyle(node, pseudo);
  const line = [];
  for (let each = node; each; each = each.parentElement) line.unshift(getComputedStyle(each));
  const canvas = document.createElement("i");
  canvas.style.color = "Canvas"; document.body.append(canvas);
  let behind = parse(getComputedStyle(canvas).color); canvas.remove();
  for (const style of line) behind = over(parse(style.backgroundColor), behind);
  const seen = parse(own.color);
  seen[3] *= line.reduce((all, style) => all * style.opacity, pseudo ? own.opacity : 1);
  const [a, b] = [light(over(seen, behind)), light(behind)].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}"""
TEXTS = [
    ("#about", None),
    ("#send", None),
    ("#stop", None),
    ("#fresh", None),
    ("#connection", None),
    ("#problem", None),
    ("#status", None),
    (".user h2", None),
    (".again", None),
    (".copy", "::before"),
    (".user", "::after"),
    ("#text", "::placeholder"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out(tmp_path: Path, scheme: Literal["light", "dark"]) -> None:
    async with running(tmp_path, {}) as service, browser_page() as (page, _):
        await page.emulate_media(color_scheme=scheme)
        await page.goto(service.address)
        await ask(page, "What is a thread?")
        await page.wait_for_selector(".copy")
        await page.evaluate("document.querySelector('.user').classList.add('waiting')")
        found = {text: await page.evaluate(CONTRAST, list(text)) for text in TEXTS}
        assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


async def test_a_small_screen_is_for_the_conversation(tmp_path: Path) -> None:
    async with running(tmp_path, {}) as service, browser_page() as (page, _):
        await page.set_viewport_size({"width": 360, "height": 640})
        await page.goto(service.address)
        assert await page.evaluate("document.querySelector('header').offsetHeight") < 640 / 5
        assert await page.evaluate("document.querySelector('form').offsetHeight") < 640 / 5
        cut = "(box => box.scrollHeight > box.clientHeight)(document.getElementById('text'))"
        assert not await page.evaluate(cut)
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")


async def test_the_box_grows_with_its_text_up_to_some_lines(tmp_path: Path) -> None:
    height = "document.getElementById('text').offsetHeight"
    async with running(tmp_path, {}) as service, browser_page() as (page, _):
        await page.goto(service.address)
        empty = await page.evaluate(height)
        await page.fill("#text", "one line")
        assert await page.evaluate(height) == empty
        await page.fill("#text", "line\n" * 4 + "line")
        assert empty < await page.evaluate(height) < 200
        await page.fill("#text", "line\n" * 100)
        assert 200 < await page.evaluate(height) < 260
        await page.press("#text", "Enter")
        await expect(page.locator("#text")).to_have_value("")
        assert await page.evaluate(height) == empty
