"""The playground in a real browser: a question is typed, the answer streams, a reload keeps it."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: install the package `chromium`"
)


@asynccontextmanager
async def browser_page() -> AsyncIterator[tuple[Page, list[str]]]:
    """A fresh page and the errors that its scripts raise."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 900, "height": 640})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        try:
            yield page, errors
        finally:
            await browser.close()


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
        await page.wait_for_selector(".assistant pre")
        await page.wait_for_selector("pre:has-text('return a + b')")
        assert await page.text_content(".user") == "how do I <b>add</b>?"
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


async def test_the_offline_server_is_named_and_the_page_looks_right(tmp_path: Path) -> None:
    async with running(tmp_path, {}) as service, browser_page() as (page, errors):
        await page.goto(service.address)
        assert "offline server" in (await page.text_content("#about.offline") or "")
        await page.fill("#text", "What is a thread?")
        await page.press("#text", "Enter")
        await page.wait_for_selector(".assistant pre")
        await page.wait_for_selector(".assistant strong")
        await page.wait_for_selector(".assistant:has-text('still know that')")
        if target := os.environ.get("PICTURE"):
            await page.screenshot(path=target)
        assert not errors
