"""The button that ends an answer, in a real browser."""

from pathlib import Path

from playwright.async_api import expect

from tests.e2e.browser import ask, browser_page, needs_chromium
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply

pytestmark = needs_chromium


async def test_an_answer_is_stopped_and_stays_as_it_was_seen(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """The next question knows what was seen of it, and a reload shows the same."""
    api.script("tell", Reply(pieces=("More, ",) * 400, delay=0.05))
    async with running(tmp_path, settings) as service, browser_page() as (page, errors):
        await page.goto(service.address)
        stop = page.locator("#stop")
        await expect(stop).to_be_hidden()
        await ask(page, "tell")
        await page.wait_for_selector(".assistant:has-text('More, More, More')")
        await page.reload()
        await expect(stop).to_be_visible()
        await ask(page, "and then?")
        await stop.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".assistant:has-text('The answer was stopped here.')")
        await page.wait_for_selector(".assistant:has-text('Question 2 was: and then?')")
        await expect(stop).to_be_hidden()
        await expect(page.locator("#text")).to_be_focused()
        shown = await page.locator(".entry").all_text_contents()
        assert len(shown) == 4
        seen = (await page.text_content(".assistant .words") or "").partition("\n\n")[0]
        assert seen in [said["content"] for said in api.calls[-1].body["messages"]]
        await page.reload()
        await expect(page.locator(".entry")).to_have_count(4)
        assert await page.locator(".entry").all_text_contents() == shown
        assert not errors


async def test_an_answer_is_stopped_before_its_first_word(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script("think", Reply(reasoning=("hm ",) * 600, pieces=("late",), delay=0.1))
    async with running(tmp_path, settings) as service, browser_page() as (page, errors):
        await page.goto(service.address)
        await ask(page, "think")
        await page.wait_for_selector("#status:has-text('is reasoning')")
        await page.route("**/stop", lambda route: route.abort())
        await page.click("#stop")
        await expect(page.locator("#problem")).to_contain_text("Not stopped")
        await page.unroute("**/stop")
        await page.click("#stop")
        await page.wait_for_selector(".assistant:has-text('The answer was stopped here.')")
        await expect(page.locator("#status")).to_have_text("")
        await expect(page.locator("#problem")).to_have_text("")
        assert all("ERR_FAILED" in error for error in errors)
