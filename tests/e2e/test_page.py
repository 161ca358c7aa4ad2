"""The playground in a real browser: a question is typed, the answer streams, a reload keeps it."""

import os
import signal
from pathlib import Path

from playwright.async_api import Route, expect

from tests.e2e.browser import ask, browser_page, needs_chromium
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply, error_reply

pytestmark = needs_chromium


async def test_a_question_is_answered_and_a_reload_keeps_it(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    words = (
        "Use ",
        "`add`",
        ":\n\n",
        "```python\n",
        "def add(a, b):\n",
        "    return a + b\n",
        "```",
    )
    api.script("add", Reply(reasoning=("hm ",) * 10, pieces=words, delay=0.08))
    async with running(tmp_path, settings) as service, browser_page() as (page, errors):
        await page.goto(service.address)
        assert api.url in (await page.text_content("#about") or "")
        await page.fill("#text", "how do I <b>add</b>?")
        await page.press("#text", "Enter")
        await page.wait_for_selector("#status:has-text('is reasoning')")
        await page.wait_for_selector(".assistant code")
        await page.wait_for_selector("pre:has-text('return a + b')")
        assert await page.text_content(".user .words") == "how do I <b>add</b>?"
        assert await page.text_content(".assistant code") == "add"
        await expect(page.locator("#status")).to_have_text("")
        await page.fill("#text", "and then?")
        await page.click("button:has-text('Send')")
        await page.wait_for_selector(".assistant:has-text('Question 2 was: and then?')")
        await page.reload()
        await page.wait_for_selector(".assistant:has-text('Question 2 was: and then?')")
        assert await page.locator(".entry").count() == 4
        address = page.url
        await page.click("#fresh")
        await expect(page.locator(".entry")).to_have_count(0)
        assert page.url != address
        assert not errors
    async with running(tmp_path, settings) as service, browser_page() as (page, errors):
        await page.goto(service.address + "#" + address.partition("#")[2])
        await page.wait_for_selector(".assistant:has-text('Question 2 was: and then?')")
        assert await page.locator(".entry").count() == 4
        assert not errors


async def test_a_restart_shows_nothing_twice_and_a_reload_loses_nothing(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """The page stays open while the service is away; then it is loaded anew."""
    replies = {
        "fail": (error_reply(400, "bad_request", "No."),),
        "break": (Reply(pieces=("Half of it, ",), delay=0.3, ending="cut"),),
        "filter": (Reply(pieces=("So far, ",), finish="content_filter"),),
        "go on": (Reply(pieces=("Begun, ",) * 200, delay=0.1), Reply(pieces=("All.",))),
    }
    for asked, scripted in replies.items():
        api.script(lambda call, asked=asked: call.last.endswith(asked), *scripted)
    kept = {"fail": "refused", "break": "broke off", "filter": "content filter"}
    async with browser_page() as (page, errors):
        async with running(tmp_path, settings) as service:
            await page.goto(service.address)
            for question, notice in kept.items():
                await ask(page, question)
                await page.wait_for_selector(f".assistant:has-text('{notice}')")
            before = await page.locator(".entry").all_text_contents()
            await ask(page, "go on")
            await page.wait_for_selector(".assistant:has-text('Begun')")
            port = service.address.rpartition(":")[2].rstrip("/")
            await service.end(signal.SIGKILL)
        async with running(tmp_path, {**settings, "HTTP_PORT": port}):
            await page.wait_for_selector(".assistant:has-text('All.')")
            open_all_along = await page.locator(".entry").all_text_contents()
            assert open_all_along[:-2] == before
            assert len(open_all_along) == 2 * len(kept) + 2
            await page.reload()
            await page.wait_for_selector(".assistant:has-text('All.')")
            assert await page.locator(".entry").all_text_contents() == open_all_along
    assert all("Failed to load resource" in error or "ERR_" in error for error in errors)


async def test_a_page_that_was_refused_once_goes_on_by_itself(tmp_path: Path) -> None:
    """A browser gives a stream of events up for good when the answer is no such stream."""
    refusals = [503]

    async def refuse(route: Route) -> None:
        if refusals and route.request.method == "GET":
            await route.fulfill(status=refusals.pop(), json={"error": "not now"})
        else:
            await route.fallback()

    async with running(tmp_path, {}) as service, browser_page() as (page, _):
        await page.route("**/api/threads/*", refuse)
        await page.goto(service.address)
        await page.wait_for_selector("#connection:has-text('trying again')")
        await ask(page, "What is a thread?")
        await page.wait_for_selector(".assistant:has-text('still know that')")
        await expect(page.locator("#connection")).to_have_text("")


async def test_the_offline_server_is_named_and_the_page_looks_right(tmp_path: Path) -> None:
    async with running(tmp_path, {}) as service, browser_page() as (page, errors):
        await page.goto(service.address)
        assert "offline server" in (await page.text_content("#about.offline") or "")
        await page.fill("#text", "What is a thread?")
        await page.press("#text", "Enter")
        await page.wait_for_selector(".assistant code")
        await page.wait_for_selector(".assistant strong")
        await page.wait_for_selector(".assistant:has-text('still know that')")
        if target := os.environ.get("PICTURE"):
            await page.screenshot(path=target)
        assert not errors
