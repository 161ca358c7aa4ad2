"""Follow-ups that came before the question above them, as Slack brings events in no order. Pure."""

from core.types import Prompt, ThreadKey

KEPT = 420.0
"""Seconds for which one is kept: Slack tries to bring an event for about six minutes
(docs.slack.dev/apis/events-api)."""

MOST = 5_000
"""Kept at most, the newest ones."""


class Early:
    """What came too early, in memory only. Most of it is talk in other people's threads."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Prompt]] = {}  # by identity, the oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, prompt: Prompt, now: float) -> None:
        """One that nothing is known above of. now: seconds, monotonic."""
        self._kept.pop(prompt.identity, None)
        self._kept[prompt.identity] = (now, prompt)
        while len(self._kept) > MOST or next(iter(self._kept.values()))[0] < now - KEPT:
            del self._kept[next(iter(self._kept))]

    def pop(self, thread: ThreadKey, since: str, now: float) -> list[Prompt]:
        """Those of a thread behind this sequence, in order; they are kept no longer."""
        found = [
            prompt
            for at, prompt in self._kept.values()
            if prompt.thread == thread and prompt.sequence > since and at >= now - KEPT
        ]
        for prompt in found:
            del self._kept[prompt.identity]
        return sorted(found, key=lambda prompt: prompt.sequence)
