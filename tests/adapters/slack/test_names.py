"""What stands in a thread is read once for all that was asked in it, and kept for a time."""

from dataclasses import replace

import aiohttp
import pytest

from adapters.slack.calls import Api
from adapters.slack.ids import Address, Bot
from adapters.slack.names import KEPT, MOST, Names
from adapters.slack.thread import SlackThread
from core.errors import RateLimited
from tests.adapters.slack.payloads import prompt
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM

READ = "conversations.replies"
AT = Address("T1", "C1", "100.000000", "100.000000", "U1")


@pytest.fixture
def api(slack: SlackServer, session: aiohttp.ClientSession) -> Api:
    return Api(slack.app.bot_token, slack.api_url, session)


def handle(slack: SlackServer, api: Api, ts: str) -> SlackThread:
    return SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, ts))


async def test_later_questions_of_a_thread_cost_no_read(
    slack: SlackServer, session: aiohttp.ClientSession, api: Api, root: str
) -> None:
    say = slack.workspace.say
    asked = [root, *(say("alice", "general", str(n), thread_ts=root) for n in range(9))]
    former = Api(slack.app.bot_token, slack.api_url, session)
    for ts in (asked[0], asked[4]):
        await handle(slack, former, ts).post("answered", "1:0")
    stood = [await handle(slack, api, ts).stood("1:0") for ts in asked]
    assert [ts for ts, there in zip(asked, stood, strict=True) if there] == [asked[0], asked[4]]
    assert len(slack.record.called_with(READ)) == 1
    elsewhere = say("alice", "general", f"{slack.mention} and here?")
    assert not await handle(slack, api, elsewhere).stood("1:0")
    assert len(slack.record.called_with(READ)) == 2


async def test_a_look_for_a_lost_post_tells_it_too(slack: SlackServer, api: Api, root: str) -> None:
    reply = slack.workspace.say("alice", "general", "and?", thread_ts=root)
    part = await handle(slack, api, reply).post("answered", "1:0")
    assert await handle(slack, api, root).find("1:0") == []
    assert await handle(slack, api, reply).stood("1:0")
    assert len(slack.record.called_with(READ)) == 1
    assert await handle(slack, api, reply).find("1:0") == [part], "which looks for itself"
    assert len(slack.record.called_with(READ)) == 2


async def test_an_older_question_is_read_for(slack: SlackServer, api: Api, root: str) -> None:
    reply = slack.workspace.say("alice", "general", "and?", thread_ts=root)
    await handle(slack, api, reply).stood("1:0")
    await handle(slack, api, root).stood("1:0")
    assert len(slack.record.called_with(READ)) == 2


async def test_what_could_not_be_read_whole_is_not_kept(
    slack: SlackServer, api: Api, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.earlier.PAGE", 2)
    monkeypatch.setattr("adapters.slack.earlier.PAGES", 1)
    for number in range(5):
        slack.workspace.say("bob", "general", str(number), thread_ts=root)
    slack.faults.add(Fault(READ, retry_after=600))
    with pytest.raises(RateLimited):
        await handle(slack, api, root).stood("1:0")
    api.reads_from = float("-inf")
    for _ in range(2):
        assert not await handle(slack, api, root).stood("1:0")
    assert len(slack.record.called_with(READ)) == 3


def test_it_is_kept_for_a_time_and_of_the_newest_threads() -> None:
    names = Names()
    names.keep(AT, {"a"}, now=0.0)
    assert names.behind(AT, KEPT - 1) == {"a"}
    names.keep(replace(AT, ts="101.000000"), {"b"}, now=1.0)
    assert names.behind(AT, 1.0) == {"a"}, "which reaches further back"
    assert names.behind(AT, KEPT) is None
    assert names.behind(replace(AT, ts="99.000000"), 0.0) is None
    for number in range(MOST):
        names.keep(replace(AT, thread_ts=f"{number}.5"), {"b"}, now=1.0)
    assert names.behind(AT, 1.0) is None
    names.keep(AT, {"c"}, now=2.0)
    assert names.behind(AT, 2.0) == {"c"}
    assert names.behind(replace(AT, thread_ts="0.5"), 2.0) is None
