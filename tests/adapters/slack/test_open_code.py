"""Code that is open in a stream is closed when the stream ends before its text is complete."""

import pytest

from adapters.slack.thread import SlackThread
from tests.adapters.slack.conftest import Open, edit_met
from tests.adapters.slack.test_streams import states
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault


@pytest.mark.parametrize("whose", ["ours", "a dead process's"])
@pytest.mark.parametrize(
    "shown", ["see:\n\n```py\nx = 1", "- so:\n  ~~~~\n  <!here>", "> ```", "`a`"]
)
async def test_a_stream_that_is_left_for_edits_leaves_no_code_open(
    slack: SlackServer, opened: Open, thread: SlackThread, shown: str, whose: str
) -> None:
    part = await thread.start("see:" if whose == "ours" else shown, "1:0")
    if whose == "ours":
        await thread.append(part, "see:", f"see:\n\n{shown}")
        await thread.edit(part, "another text")
    else:
        await edit_met(opened(), part, "another text")
    assert not slack.record.broken_fences()
    assert states(slack, part)[-1] == "another text"
    assert ("conversations.replies" in [c.method for c in slack.record.calls]) == (whose != "ours")


async def test_a_stream_of_which_slack_tells_nothing_is_ended_all_the_same(
    slack: SlackServer, opened: Open
) -> None:
    part = await opened().start("see:\n\n```py\nx = 1", "1:0")
    slack.faults.add(Fault("conversations.replies", retry_after=3))
    await edit_met(opened(), part, "another text")
    assert states(slack, part)[-1] == "another text"
