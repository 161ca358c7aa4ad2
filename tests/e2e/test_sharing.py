"""Two replicas write long answers into one Slack workspace, and stay within its budget together."""

from pathlib import Path

from tests.e2e.seen import answers, calm
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer

WORDS = tuple(f"word{number} " for number in range(150))
LONG = Reply(pieces=WORDS, delay=0.1)
WHOLE = "".join(WORDS).strip()


async def test_two_replicas_ask_no_more_than_a_workspace_allows(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, shared: dict[str, str]
) -> None:
    api.script("be long", LONG)
    channel, say = slack.workspace.channel("general").id, slack.workspace.say
    async with running(tmp_path, shared) as first, running(tmp_path, shared) as second:
        roots = [say("alice", "general", f"{slack.mention} be long, {n}") for n in range(8)]

        def whole() -> bool:
            shown = [[text.strip() for text in answers(slack, channel, root)] for root in roots]
            return shown == [[WHOLE]] * 8

        await slack.wait_for(whole, 60)
        for service in (first, second):
            assert "turn.answered" in service.out + service.err, "each had its part"
    calm(slack)
    refused = [call.method for call in slack.record.calls if call.error == "ratelimited"]
    updates = [call.time for call in slack.record.called_with("chat.update")]
    assert refused == [], f"{len(updates)} edits in {updates[-1] - updates[0]:.0f} seconds"
    assert len(updates) >= 2 * len(roots), "they did stream"
