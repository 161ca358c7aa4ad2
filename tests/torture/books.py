"""What must be true when all kills are over, worked out from the far ends and from the database."""

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.emulators.deepseek import Call, DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer
from tests.torture.load import CANARY, People, Prompt, Thread, asked

MOST_CALLS = 3
DATABASE = "threadseek.db"
STAYS = {DATABASE, f"{DATABASE}.lock"}
DELIVERIES = 4
STORED = ("identity", "state", "reason", "verdict", "notice", "attempts")
_AT_ONCE = 0.5  # seconds between a claim and its API call, at most

Row = dict[str, Any]


@dataclass
class Report:
    """The balance. lists: canaries, or sentences that say what is wrong.

    lost, doubled, stuck: canaries of prompts. wrong: everything else. undelivered: prompts whose
    event never reached the service, in Slack only. calls: API calls of all prompts. settling: the
    seconds after the waves of kills until everything was settled.
    """

    kills: int = 0
    prompts: int = 0
    answered: int = 0
    notices: int = 0
    calls: int = 0
    seconds: float = 0.0
    settling: float = 0.0
    undelivered: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.stuck or self.wrong)

    def __str__(self) -> str:
        lines = [
            f"kills {self.kills}  prompts {self.prompts}  answered {self.answered}"
            f"  notices {self.notices}  never delivered {len(self.undelivered)}",
            f"lost {len(self.lost)}  doubled {len(self.doubled)}  stuck {len(self.stuck)}"
            f"  otherwise wrong {len(self.wrong)}",
            f"API calls a prompt {self.calls / max(1, self.prompts):.2f}"
            f"  seconds {self.seconds:.0f}, {self.settling:.0f} of them settling",
        ]
        for name in ("lost", "doubled", "stuck", "wrong"):
            lines += [f"  {name}: {what}" for what in getattr(self, name)]
        return "\n".join(lines)


def turns(folder: Path) -> list[Row]:
    """Every turn of the database, in the order of their sequence; none before there is one."""
    path = folder / DATABASE
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    connection.row_factory = sqlite3.Row
    try:
        rows = connection.execute("SELECT * FROM turn ORDER BY conversation_id, sequence, id")
        return [dict(row) for row in rows]
    except sqlite3.OperationalError:
        return []  # killed before the tables were made
    finally:
        connection.close()


class Books:
    """Compares what was asked with what is shown and what is stored."""

    def __init__(
        self, api: DeepSeekServer, slack: SlackServer, discord: DiscordServer, people: People
    ) -> None:
        self._api, self._slack, self._discord, self._people = api, slack, discord, people
        self._places: dict[str, int] = {}

    def delivered(self) -> bool:
        """Whether Slack has no delivery left to make."""
        over: dict[str, bool] = {}
        for each in self._slack.deliverer.deliveries:
            last = each.attempt == DELIVERIES - 1 and bool(each.failure)
            over[each.event_id] = over.get(each.event_id, False) or each.acked or last
        return all(over.values())

    def required(self, prompt: Prompt, known: set[str]) -> bool:
        """Whether the service took on this prompt: acknowledged, stored, or to be read back."""
        if prompt.place.startswith("discord") or prompt.canary in known:
            return True
        return any(each.acked for each in self._slack.deliverer.of(prompt.id))

    def outstanding(self, rows: list[Row]) -> list[str]:
        """Canaries of prompts that have to be settled and are not."""
        known = {row["canary"] for row in named(rows)}
        done = {row["canary"] for row in named(rows) if row["settled_at"] is not None}
        return [
            prompt.canary
            for prompt in self._people.prompts.values()
            if prompt.canary not in done and self.required(prompt, known)
        ]

    def balance(self, folder: Path) -> Report:
        """The report, of a service that has ended."""
        report = Report(prompts=len(self._people.prompts))
        report.wrong += left_behind(folder)  # first: a reader makes files of its own
        rows = named(turns(folder))
        report.stuck += self.outstanding(rows)
        by_canary = {row["canary"]: row for row in rows}
        for thread in self._people.threads:
            self._thread(thread, by_canary, report)
        self._calls(report)
        report.wrong += self._disorder(rows)
        report.wrong += repeated(rows)
        report.wrong += damaged(folder)
        return report

    def shown(self, thread: Thread) -> list[str]:
        """What the bot's messages in a thread show now, oldest first."""
        if thread.platform == "slack":
            return self._slack.record.visible(thread.channel, thread.root)
        if thread.root not in self._discord.world.channels:
            return []
        return self._discord.record.visible(thread.root)

    def _thread(self, thread: Thread, rows: dict[str, Row], report: Report) -> None:
        left = self.shown(thread)
        for prompt in thread.prompts:
            row = rows.get(prompt.canary)
            found = [text for text in left if says(text, prompt, row)]
            if found:
                self._places[prompt.canary] = left.index(found[0])
            left = ["" if text in found else text for text in left]
            self._prompt(prompt, row, found, report)
        strange = [text for text in left if text]
        report.wrong += [f"{thread.key} shows {text!r}" for text in strange]

    def _prompt(self, prompt: Prompt, row: Row | None, found: list[str], report: Report) -> None:
        if len(found) > 1:
            report.doubled.append(f"{prompt.canary} in {prompt.place}: {found}")
        elif not found and self.required(prompt, {prompt.canary} if row else set()):
            stored = {name: row[name] for name in STORED} if row else "unknown"
            report.lost.append(f"{prompt.canary} in {prompt.place}: {stored}")
        elif not found:
            report.undelivered.append(prompt.canary)
        elif found[0] == prompt.answer:
            report.answered += 1
        else:
            report.notices += 1
            if row is None or row["attempts"] < MOST_CALLS:
                report.wrong.append(f"{prompt.canary} got a notice it did not need")

    def _of(self, prompt: Prompt) -> list[Call]:
        return [call for call in self._api.calls if asked(call) == prompt.canary]

    def _calls(self, report: Report) -> None:
        report.calls = len(self._api.calls)
        for canary, prompt in self._people.prompts.items():
            calls = self._of(prompt)
            if len(calls) > MOST_CALLS:
                report.wrong.append(f"{canary} cost {len(calls)} API calls")
        places = {canary: p.place for canary, p in self._people.prompts.items()}
        for call in self._api.calls:
            named_ones = CANARY.findall(str(call.body["messages"]))
            if len({places[canary] for canary in named_ones}) != 1:
                report.wrong.append(f"a request tells of several threads: {set(named_ones)}")

    def _disorder(self, rows: list[Row]) -> list[str]:
        """A prompt that was known before the next was sent to the API comes first in all respects.

        Slack may bring a prompt again when a later one is being answered already; after a crash the
        older one then goes first, below what the later one has on show.
        """
        shift = time.time() - time.monotonic()
        started: dict[str, float] = {}
        for call in self._api.calls:
            started.setdefault(asked(call), call.at + shift)
        problems = []
        for one, two in combinations(rows, 2):
            at = started.get(two["canary"])
            same = one["conversation_id"] == two["conversation_id"]
            if same and at is not None and one["received_at"] < at - _AT_ONCE:
                places = [self._places.get(row["canary"], -1) for row in (one, two)]
                if (one["answered_at"] or at + 1) > at:
                    problems.append(f"{two['canary']} was begun before {one['canary']} was over")
                if -1 not in places and places[0] > places[1]:
                    problems.append(f"{two['canary']} is shown above {one['canary']}")
        return problems


def named(rows: list[Row]) -> list[Row]:
    """The turns with the canary of their prompt."""
    return [{**row, "canary": "".join(CANARY.findall(row["text"])[:1])} for row in rows]


def says(text: str, prompt: Prompt, row: Row | None) -> bool:
    """Whether a text that is shown is this prompt's answer, or its notice."""
    if text == prompt.answer:
        return True
    mine = set(CANARY.findall(text)) <= {prompt.canary}
    return bool(mine and row and row["notice"] and row["notice"] in text)


def repeated(rows: list[Row]) -> list[str]:
    """Prompts with several turns."""
    count = Counter(row["canary"] for row in rows)
    return [f"{canary} has {n} turns" for canary, n in count.items() if n > 1]


def left_behind(folder: Path) -> list[str]:
    """Files that should not be there."""
    return [f"left behind: {path.name}" for path in folder.iterdir() if path.name not in STAYS]


def damaged(folder: Path) -> list[str]:
    """What the database's own check says."""
    connection = sqlite3.connect(folder / DATABASE)
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        said += [str(tuple(row)) for row in connection.execute("PRAGMA foreign_key_check")]
    finally:
        connection.close()
    return [f"database: {line}" for line in said if line != "ok"]
