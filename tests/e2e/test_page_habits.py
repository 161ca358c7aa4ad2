"""What people are used to from other pages of the kind, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser import ask, browser_page, needs_chromium
from tests.e2e.service import Service, running
from tests.emulators.deepseek import DeepSeekServer, Reply, error_reply

pytestmark = needs_chromium

CODE = "Use it:\n\n```python\nprint(1)\n```\n\n**Done.**"


@pytest.fixture
async def service(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> AsyncIterator[Service]:
    """It answers by script."""
    async with running(tmp_path, settings) as service:
        yield service


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A fresh page, of which no script has failed."""
    async with browser_page() as (page, errors):
        yield page
        assert not errors


async def until(page: Page, true: str) -> None:
    """Wait for it; the page itself may not evaluate strings."""
    async with asyncio.timeout(20):
        while not await page.evaluate(true):  # noqa: ASYNC110 - a browser tells nobody
            await asyncio.sleep(0.05)


async def test_the_box_has_the_first_letter_that_is_typed(service: Service, page: Page) -> None:
    """`autofocus` comes when the page is painted, later than who types at once."""
    await page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.first = document.activeElement.id; })"
    )
    await page.goto(service.address)
    assert await page.evaluate("window.first") == "text"


@pytest.mark.parametrize("secure", [True, False])
async def test_an_answer_and_its_code_are_copied(
    service: Service, page: Page, api: DeepSeekServer, secure: bool
) -> None:
    """Beyond this machine a browser keeps its clipboard from a page without TLS."""
    api.script("code", Reply(pieces=tuple(CODE)))
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(service.address)
    await ask(page, "code")
    await page.wait_for_selector(".assistant strong")
    read = "() => window.clipboard.readText()"
    await page.evaluate("() => { window.clipboard = navigator.clipboard; }")
    if not secure:
        nothing = "() => Object.defineProperty(navigator, 'clipboard', { value: undefined })"
        await page.evaluate(nothing)
    await page.get_by_role("button", name="Copy the code").click()
    await expect(page.locator("#announcer")).to_have_text("Copied.")
    assert await page.evaluate(read) == "print(1)"
    await page.get_by_role("button", name="Copy the answer").press("Enter")
    await expect(page.locator(".copied")).to_have_count(2)
    assert await page.evaluate(read) == CODE
    assert "Copy" not in (await page.text_content(".assistant .words") or "")


async def test_a_question_that_failed_is_asked_again_by_a_button(
    service: Service, page: Page, api: DeepSeekServer
) -> None:
    bad = error_reply(400, "bad_request", "No.")
    api.script("now", bad, Reply(pieces=("It works.",), delay=0.5))
    await page.goto(service.address)
    await ask(page, "now")
    await page.wait_for_selector(".assistant:has-text('refused')")
    await page.fill("#text", "a draft")
    await page.get_by_role("button", name="Ask again").click()
    await page.wait_for_selector("#status:has-text('thinking')")
    await expect(page.get_by_role("button", name="Ask again")).to_have_count(0)
    await page.wait_for_selector(".assistant:has-text('It works.')")
    await expect(page.get_by_role("button", name="Ask again")).to_have_count(1)
    assert await page.locator(".user .words").all_text_contents() == ["now", "now"]
    assert await page.input_value("#text") == "a draft"


async def test_who_reads_above_is_left_there_and_who_asks_sees_the_question(
    service: Service, page: Page, api: DeepSeekServer
) -> None:
    api.script("long", Reply(pieces=("line\n",) * 120, delay=0.02))
    await page.goto(service.address)
    await ask(page, "long")
    await until(page, "document.querySelector('#room').scrollTop > 300")
    await page.evaluate("document.querySelector('#room').scrollTop = 50")
    before = await page.text_content(".assistant") or ""
    await until(
        page, f"document.querySelector('.assistant').textContent.length > {len(before)} + 50"
    )
    assert await page.evaluate("document.querySelector('#room').scrollTop") == 50
    await ask(page, "next")
    await expect(page.locator(".user").nth(1)).to_be_in_viewport()


async def test_a_page_that_nobody_sees_holds_no_connection(service: Service, page: Page) -> None:
    """A browser opens six to a server; with more tabs than that none could ask any more."""
    await page.goto(service.address)
    await page.evaluate(
        """() => { window.away = true;
        Object.defineProperty(document, 'hidden', { get: () => window.away });
        document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    assert await page.evaluate("source.readyState") == 2
    await ask(page, "Hello?")
    await page.evaluate(
        "() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await page.wait_for_selector(".assistant:has-text('Hello?')")
    await expect(page.locator("#connection")).to_have_text("")


async def test_all_of_a_conversation_is_printed(service: Service, page: Page) -> None:
    await page.goto(service.address)
    await ask(page, "\n".join("line" for _ in range(80)))
    await page.wait_for_selector(".assistant")
    await page.emulate_media(media="print")
    for of in ("form", "#fresh", ".copy"):
        await expect(page.locator(of).first).to_be_hidden()
    inner, outer = await page.evaluate("[room.scrollHeight, room.clientHeight]")
    assert inner == outer > 640
