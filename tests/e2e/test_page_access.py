"""The page for those who listen to it, select in it, have little light or a small screen."""

from pathlib import Path

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
