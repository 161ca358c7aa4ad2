"""Telling who asked that the prompt waits, against the stand-in."""

import pytest

from adapters.slack.thread import SlackThread
from tests.adapters.slack.payloads import prompt
from tests.adapters.slack.test_thread import root, thread
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault

__all__ = ["prompt", "root", "thread"]  # fixtures that this module uses too
METHOD = "chat.postEphemeral"


@pytest.mark.parametrize(("ahead", "said"), [(1, "one"), (2, "2"), (9, "9")])
async def test_the_one_who_asked_is_told_in_the_thread(
    ahead: int, said: str, slack: SlackServer, thread: SlackThread, root: str
) -> None:
    await thread.queued(ahead)
    (shown,) = slack.record.ephemerals
    assert shown == {
        "channel": slack.workspace.channel("general").id,
        "user": slack.workspace.posts[root].user,
        "thread_ts": root,
        "text": f"I'll get to this after the {said} before it.",
    }
    assert slack.record.visible("general", root) == [], "nobody else sees it"


async def test_that_its_turn_has_come_needs_no_words(
    slack: SlackServer, thread: SlackThread
) -> None:
    await thread.queued(0)
    assert not slack.record.called_with(METHOD)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(METHOD, retry_after=1),
        Fault(METHOD, status=503),
        Fault(METHOD, error="user_not_in_channel"),
    ],
    ids=["429", "503", "refused"],
)
async def test_in_trouble_it_is_dropped(
    fault: Fault, slack: SlackServer, thread: SlackThread
) -> None:
    slack.faults.add(fault)
    await thread.queued(3)
    assert len(slack.record.called_with(METHOD)) == 1
    assert slack.record.ephemerals == []
    await thread.queued(3)
    assert len(slack.record.ephemerals) == 1, "the next one is told"


async def test_what_can_never_work_is_not_tried_again(
    slack: SlackServer, thread: SlackThread
) -> None:
    slack.faults.add(Fault(METHOD, error="missing_scope"))
    await thread.queued(1)
    await thread.queued(1)
    assert len(slack.record.called_with(METHOD)) == 1
