"""What becomes of the words in the box while a question is on its way, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.browser import ask, browser_page, needs_chromium
from tests.e2e.service import Service, running

pytestmark = needs_chromium

ROUTE = "**/api/threads/*"


class Line:
    """What lies between the page and the service: lets every request through until told otherwise.

    slow: a question waits for it. lost: so many questions arrive and their answers don't.
    refused: the status of each answer that comes without the service. blind: no stream opens.
    sent: how many questions the page has sent.
    """

    def __init__(self) -> None:
        self.slow = asyncio.Event()
        self.slow.set()
        self.lost = 0
        self.refused: list[int] = []
        self.blind = False
        self.sent = 0

    async def pass_on(self, route: Route) -> None:
        """One request of the page."""
        if route.request.method != "POST":
            await (route.abort() if self.blind else route.continue_())
            return
        self.sent += 1
        await self.slow.wait()
        if self.refused:
            await route.fulfill(status=self.refused.pop(), json={"error": "not now"})
        elif self.lost:
            self.lost -= 1
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """The offline server answers."""
    async with running(tmp_path, {}) as service:
        yield service


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A fresh page."""
    async with browser_page() as (page, _):
        yield page


@pytest.fixture
async def line(page: Page) -> Line:
    """What the page sends goes through it."""
    line = Line()
    await page.route(ROUTE, line.pass_on)
    return line


async def asked(page: Page) -> list[str]:
    """The questions that stand in the conversation."""
    return await page.locator(".user .words").all_text_contents()


async def test_what_is_typed_while_a_question_is_sent_stays(
    service: Service, page: Page, line: Line
) -> None:
    await page.goto(service.address)
    line.slow.clear()
    await ask(page, "one")
    await expect(page.locator("#text")).to_have_value("")
    await page.keyboard.type("and more")
    line.slow.set()
    await page.wait_for_selector(".user:has-text('one')")
    await page.wait_for_selector(".assistant")
    assert await page.input_value("#text") == "and more"


async def test_two_quick_clicks_ask_once(service: Service, page: Page, line: Line) -> None:
    await page.goto(service.address)
    line.slow.clear()
    await page.fill("#text", "once")
    await page.dblclick("button:has-text('Send')")
    await page.fill("#text", "once")
    await page.press("#text", "Enter")
    line.slow.set()
    await page.wait_for_selector(".assistant")
    assert line.sent == 1
    assert await asked(page) == ["once"]


async def test_a_question_that_is_refused_comes_back_before_what_was_typed_since(
    service: Service, page: Page, line: Line
) -> None:
    await page.goto(service.address)
    line.slow.clear()
    line.refused = [503]
    await ask(page, "one")
    await page.keyboard.type("and more")
    line.slow.set()
    await expect(page.locator("#problem")).to_have_text("Not sent: not now")
    assert await page.input_value("#text") == "one\nand more"
    await page.press("#text", "Enter")
    await page.wait_for_selector(".assistant")
    await expect(page.locator("#problem")).to_have_text("")
    assert await asked(page) == ["one\nand more"]


async def test_a_question_whose_response_was_lost_is_known_by_the_conversation(
    service: Service, page: Page, line: Line
) -> None:
    await page.goto(service.address)
    line.lost = 1
    await ask(page, "only once")
    await page.wait_for_selector(".assistant")
    await expect(page.locator("#problem")).to_have_text("")
    assert await page.input_value("#text") == ""
    assert await asked(page) == ["only once"]


async def test_a_question_sent_again_while_nothing_is_known_of_it_is_asked_once(
    service: Service, page: Page, line: Line
) -> None:
    line.blind = True
    line.lost = 1
    await page.goto(service.address)
    await ask(page, "only once")
    await expect(page.locator("#problem")).to_contain_text("can't be reached")
    assert await page.input_value("#text") == "only once"
    await page.press("#text", "Enter")
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator("#problem")).to_have_text("")
    line.blind = False
    await page.wait_for_selector(".assistant")
    await ask(page, "only once")
    await page.wait_for_selector(".assistant >> nth=1")
    assert line.sent == 3
    assert await asked(page) == ["only once", "only once"]


async def test_a_question_that_turns_out_to_have_arrived_leaves_the_box(
    service: Service, page: Page, line: Line
) -> None:
    line.blind = True
    line.lost = 1
    await page.goto(service.address)
    await ask(page, "one")
    await expect(page.locator("#problem")).to_contain_text("is back in the box")
    await page.press("#text", "Shift+Enter")
    await page.keyboard.type("two")
    line.blind = False
    await page.wait_for_selector(".assistant")
    await expect(page.locator("#text")).to_have_value("two")
    await expect(page.locator("#problem")).to_have_text("")
    await page.press("#text", "Enter")
    await page.wait_for_selector(".assistant >> nth=1")
    assert await asked(page) == ["one", "two"]


async def test_what_kept_a_question_from_being_sent_stands_while_an_answer_grows(
    service: Service, page: Page, line: Line
) -> None:
    await page.goto(service.address)
    await ask(page, "What is a thread?")
    await page.wait_for_selector(".assistant")
    line.refused = [503]
    await ask(page, "and then?")
    await expect(page.locator("#problem")).to_have_text("Not sent: not now")
    await page.wait_for_selector(".assistant:has-text('still know that')")
    assert await page.text_content("#problem") == "Not sent: not now"
    assert await page.input_value("#text") == "and then?"


async def test_a_question_that_nobody_takes_comes_back_by_itself(
    service: Service, page: Page, line: Line
) -> None:
    await page.add_init_script(
        "const timeout = AbortSignal.timeout; AbortSignal.timeout = () => timeout(300);"
    )
    await page.goto(service.address)
    line.slow.clear()
    await ask(page, "one")
    await expect(page.locator("#problem")).to_contain_text("can't be reached")
    assert await page.input_value("#text") == "one"
