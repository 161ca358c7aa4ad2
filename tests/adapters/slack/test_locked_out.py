"""A bot token that Slack takes no more: said once, then nothing is called but a question for it."""

import aiohttp
import pytest

from adapters.slack import calls
from adapters.slack.calls import Api
from core.errors import LockedOut
from core.placing import Readmits
from tests.adapters.slack.conftest import Make
from tests.emulators.slack import SlackServer


async def test_after_a_refusal_nothing_is_called_until_the_token_is_taken_again(
    slack: SlackServer,
) -> None:
    slack.app.token_error = "token_revoked"
    where = {"channel": slack.workspace.channel("general").id}
    async with aiohttp.ClientSession() as session:
        api = Api(slack.app.bot_token, slack.api_url, session)
        said = set()
        for method in (calls.POST, calls.STATUS, calls.REPLIES, calls.POST):
            with pytest.raises(LockedOut) as caught:
                await api.call(method, **where, markdown_text="hello")
            said.add(str(caught.value))
        assert len(slack.record.calls) == len(said) == 1
        await api.call(calls.CONNECT, token=slack.app.app_token)
        with pytest.raises(LockedOut):
            await api.call(calls.AUTH)
        slack.app.token_error = ""
        with pytest.raises(LockedOut):
            await api.call(calls.POST, **where, markdown_text="hello")
        assert len(slack.record.calls) == 3
        await api.call(calls.AUTH)
        await api.call(calls.POST, **where, markdown_text="hello")
        assert slack.record.calls[-1].method == "chat.postMessage"


async def test_the_platform_says_so_and_how_to_put_it_right(slack: SlackServer, make: Make) -> None:
    platform = make()
    await platform.connect()
    assert isinstance(platform, Readmits)
    assert await platform.readmitted()
    assert platform.problem() == ""
    slack.app.token_error = "account_inactive"
    assert not await platform.readmitted()
    assert "account_inactive" in platform.problem()
    assert "SLACK_BOT_TOKEN and restart" in platform.problem()
    slack.app.token_error = ""
    assert await platform.readmitted()
    assert platform.problem() == ""
    await platform.close()
