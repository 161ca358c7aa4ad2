"""What must be true when all kills are over, worked out from the far ends and from the database."""

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from adapters.slack.missed import LATE as LATE_AFTER
from core.store.inbox import MOST_OPEN
from core.turns.notices import CROWDED, LATE
from tests.emulators.deepseek import Call, DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_interaction import Interaction
from tests.emulators.slack import SlackServer
from tests.torture.ledger import Ledger, Row
from tests.torture.load import CANARY, People, Prompt, Thread, asked
from tests.torture.troubles import Troubles

MOST_CALLS = MOST_CRASHES = 3
DELIVERIES = 4
STORED = ("identity", "state", "reason", "verdict", "notice", "attempts")
_AT_ONCE = 0.5  # seconds between a claim and its API call, at most
_STORING = 2.0  # seconds between a command's acknowledgement and its commit, at most
_HEARD = 4.0  # seconds in which a command that reached a process is acknowledged


@dataclass
class Report:
    """The balance. lists: canaries, or sentences that say what is wrong.

    lost, doubled, stuck: canaries of prompts. wrong: everything else. undelivered: prompts whose
    event never reached the service, in Slack only. unheard: commands that nobody acknowledged,
    because nobody was there; cut_off: those whose taker was killed between acknowledging and
    storing them, the exception that docs/reliability.md names; told: those of them whose people
    read so afterwards. calls: API calls of all prompts.
    settling: the seconds after the last kill until everything was settled.
    """

    kills: int = 0
    prompts: int = 0
    answered: int = 0
    notices: int = 0
    calls: int = 0
    seconds: float = 0.0
    settling: float = 0.0
    commands: int = 0
    pauses: int = 0
    undelivered: list[str] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.stuck or self.wrong)

    @property
    def accounted(self) -> int:
        """Prompts of which it is known what became of them."""
        never = (self.undelivered, self.unheard, self.cut_off)
        return self.answered + self.notices + sum(map(len, never))

    def __str__(self) -> str:
        lines = [
            f"kills {self.kills}  stops and restarts of the database {self.pauses}",
            f"prompts {self.prompts}  answered {self.answered}  notices {self.notices}"
            f"  never delivered {len(self.undelivered)}",
            f"of these /ask {self.commands}: nobody there {len(self.unheard)}"
            f"  killed before storing {len(self.cut_off)}, told so {len(self.told)}",
            f"lost {len(self.lost)}  doubled {len(self.doubled)}  stuck {len(self.stuck)}"
            f"  otherwise wrong {len(self.wrong)}",
            f"API calls a prompt {self.calls / max(1, self.prompts):.2f}"
            f"  seconds {self.seconds:.0f}, {self.settling:.0f} of them settling",
        ]
        for name in ("lost", "doubled", "stuck", "wrong"):
            lines += [f"  {name}: {what}" for what in getattr(self, name)]
        return "\n".join(lines)


class Books:
    """Compares what was asked with what is shown and what is stored."""

    def __init__(
        self,
        api: DeepSeekServer,
        slack: SlackServer,
        discord: DiscordServer,
        people: People,
        troubles: Troubles,
    ) -> None:
        self._api, self._slack, self._discord, self._people = api, slack, discord, people
        self._troubles = troubles
        self._places: dict[str, int] = {}
        self._rooms: Counter[tuple[str, str]] = Counter()

    def delivered(self) -> bool:
        """Whether Slack has no delivery left to make."""
        over: dict[str, bool] = {}
        for each in self._slack.deliverer.deliveries:
            last = each.attempt == DELIVERIES - 1 and bool(each.failure)
            over[each.event_id] = over.get(each.event_id, False) or each.acked or last
        return all(over.values())

    def required(self, prompt: Prompt, known: set[str]) -> bool:
        """Whether the service took on this prompt: acknowledged, stored, or to be read back."""
        if prompt.canary in known:
            return True
        if prompt.command is not None:
            return self._should_be_stored(prompt.command)
        if prompt.place.startswith("discord"):
            return True
        return any(each.acked for each in self._slack.deliverer.of(prompt.id))

    def _should_be_stored(self, used: Interaction) -> bool:
        """Whether a command that is not stored should be: nothing was killed at the time."""
        if used.acked_after is not None:
            return not self._troubles.died(used.made + used.acked_after, _STORING)
        if not used.delivered or self._troubles.died(used.made, _HEARD):
            return False
        return not self._troubles.stood_still(used.made, _HEARD)

    def outstanding(self, rows: list[Row]) -> list[str]:
        """Canaries of prompts that have to be settled and are not."""
        rows = self._named(rows)
        known = {row["canary"] for row in rows}
        done = {row["canary"] for row in rows if row["settled_at"] is not None}
        return [
            prompt.canary
            for prompt in self._people.prompts.values()
            if prompt.canary not in done and self.required(prompt, known)
        ]

    async def balance(self, ledger: Ledger) -> Report:
        """The report, of services that have ended."""
        prompts = self._people.prompts.values()
        report = Report(
            prompts=len(prompts),
            kills=len(self._troubles.deaths),
            pauses=len(self._troubles.pauses),
            commands=sum(prompt.command is not None for prompt in prompts),
        )
        report.wrong += await ledger.damage()
        rows = self._named(await ledger.turns())
        report.stuck += self.outstanding(rows)
        by_canary = {row["canary"]: row for row in rows}
        self._people.learn()
        self._rooms = self._in_rooms()
        for thread in self._people.threads:
            self._thread(thread, by_canary, report)
        report.wrong += [f"{where} shows {text!r}" for where, text in self._rooms.elements()]
        self._calls(report)
        report.wrong += self._disorder(rows)
        report.wrong += repeated(rows)
        return report

    def _named(self, rows: list[Row]) -> list[Row]:
        """The turns with the canary of their prompt; its text may be lost, but not its identity."""
        by_id = {prompt.id: canary for canary, prompt in self._people.prompts.items()}
        for row in rows:
            said = CANARY.findall(row["text"]) or [by_id.get(row["identity"].split(":")[-1], "")]
            row["canary"] = said[0]
        return rows

    def shown(self, thread: Thread) -> list[str]:
        """What the bot's messages in a thread show now, oldest first."""
        if thread.platform == "slack":
            return self._slack.record.visible(thread.channel, thread.root)
        first = thread.prompts[0].command
        head = [] if first is None or thread.direct else [first.text() or ""]
        if thread.root not in self._discord.world.channels:
            return head
        return head + self._discord.record.visible(thread.root)

    def _in_rooms(self) -> Counter[tuple[str, str]]:
        """What stands in the channels of Discord themselves, (channel, text), answers aside."""
        shown = Counter(
            (channel, text)
            for channel in self._people.discord_channels
            for text in self._discord.record.visible(channel)
            if text
        )
        used = (p.command for p in self._people.prompts.values() if p.command is not None)
        return shown - Counter((each.channel, each.text() or "") for each in used)

    def _thread(self, thread: Thread, rows: dict[str, Row], report: Report) -> None:
        stored = [rows[p.canary]["answer"] for p in thread.prompts if p.canary in rows]
        left = joined(self.shown(thread), stored)
        for prompt in thread.prompts:
            row = rows.get(prompt.canary)
            found = [text for text in left if says(text, prompt, row)]
            if row and (row["crowded"] or row["late"]):
                found = found[:1]  # all such lines are alike; one too many is strange below
            if row and row["crowded"]:
                report.wrong += self._unjust(
                    row, [rows[p.canary] for p in thread.prompts if p.canary in rows]
                )
            room = (thread.channel, row["notice"] or LATE if row else "")
            if row and row["late"] and not found and self._rooms[room]:
                self._rooms[room] -= 1  # the line stands beside the message that waits
                found = [LATE]
            if found and found[0] in left:
                self._places[prompt.canary] = left.index(found[0])
            left = _without(left, found)
            self._prompt(prompt, row, found, report)
        strange = [text for text in left if text]
        report.wrong += [f"{thread.key} shows {text!r}" for text in strange]

    def _prompt(self, prompt: Prompt, row: Row | None, found: list[str], report: Report) -> None:
        if len(found) > 1:
            report.doubled.append(f"{prompt.canary} in {prompt.place}: {found}")
        elif not found:
            self._unanswered(prompt, row, report)
        elif found == [LATE]:
            self._late(prompt, row, report)
        elif found[0] in prompt.answers:
            report.answered += 1
            if row is None or row["answer"] != found[0]:
                report.wrong.append(f"{prompt.canary} shows another answer than is stored")
        else:
            report.notices += 1
            asked_in_vain = row is not None and (row["crowded"] or row["attempts"] >= MOST_CALLS)
            if not asked_in_vain and self._troubles.breaks(prompt.at) < MOST_CRASHES:
                report.wrong.append(f"{prompt.canary} got a notice it did not need")

    @staticmethod
    def _unjust(refused: Row, rows: list[Row]) -> list[str]:
        """A refusal for a crowd where there was none."""
        at = refused["received_at"]
        before = [row for row in rows if row["received_at"] <= at and not row["crowded"]]
        waiting = [row for row in before if (row["settled_at"] or at) >= at]
        if len(waiting) >= MOST_OPEN:
            return []
        return [f"{refused['canary']} was refused with {len(waiting)} before it"]

    def _late(self, prompt: Prompt, row: Row | None, report: Report) -> None:
        """It was told that nobody was there, which has to be true."""
        asked = prompt.at + time.time() - time.monotonic()
        if row is not None and row["received_at"] - asked >= LATE_AFTER - 1:
            report.notices += 1
            return
        if prompt.command is None or self._should_be_stored(prompt.command):
            report.wrong.append(f"{prompt.canary} was told that it is late, and is not")
        report.cut_off.append(prompt.canary)
        report.told.append(prompt.canary)

    def _unanswered(self, prompt: Prompt, row: Row | None, report: Report) -> None:
        """Lost, or one of those that need not be answered."""
        if self.required(prompt, {prompt.canary} if row else set()):
            stored = {name: row[name] for name in STORED} if row else "unknown"
            report.lost.append(f"{prompt.canary} in {prompt.place}: {stored}{self._story(prompt)}")
        elif prompt.command is None:
            report.undelivered.append(prompt.canary)
        elif prompt.command.acked_after is None:
            report.unheard.append(prompt.canary)
        else:
            report.cut_off.append(prompt.canary)

    def _of(self, prompt: Prompt) -> list[Call]:
        return [call for call in self._api.calls if asked(call) == prompt.canary]

    def _story(self, prompt: Prompt) -> str:
        """What became of a command, and the kills around it, in seconds after it was used."""
        used = prompt.command
        if used is None:
            return ""
        deaths = [round(death - used.made, 2) for death in self._troubles.deaths]
        near = [death for death in deaths if -10 < death < 30]
        heard = "delivered" if used.delivered else "not delivered"
        return f", /ask, {heard}, acknowledged after {used.acked_after}, kills at {near}"

    def _calls(self, report: Report) -> None:
        report.calls = len(self._api.calls)
        for canary, prompt in self._people.prompts.items():
            calls = self._of(prompt)
            if len(calls) > MOST_CALLS:
                report.wrong.append(f"{canary} cost {len(calls)} API calls")
            for one, two in pairwise(calls):
                failed = any(one is each for each in self._people.failing)
                if not failed and not self._troubles.interrupted(one.at, two.at):
                    report.wrong.append(f"{canary} was asked for again, and nothing had happened")
        places = {canary: p.place for canary, p in self._people.prompts.items()}
        for call in self._api.calls:
            named_ones = CANARY.findall(str(call.body["messages"]))
            if len({places[canary] for canary in named_ones}) != 1:
                report.wrong.append(f"a request tells of several threads: {set(named_ones)}")

    def _disorder(self, rows: list[Row]) -> list[str]:
        """A prompt that was known before the next was sent to the API comes first in all respects.

        Slack may bring a prompt again when a later one is being answered already; after a crash the
        older one then goes first, below what the later one has on show. Where a command's answer
        stands is Discord's doing.
        """
        shift = time.time() - time.monotonic()
        started: dict[str, float] = {}
        for call in self._api.calls:
            started.setdefault(asked(call), call.at)
        problems = []
        for one, two in combinations(rows, 2):
            at = started.get(two["canary"])
            if at is None or one["conversation_id"] != two["conversation_id"]:
                continue
            decided = self._troubles.decided(at, 2 * _AT_ONCE)
            if one["received_at"] < decided + shift - _AT_ONCE:
                if (one["answered_at"] or at + shift + 1) > at + shift:
                    problems.append(f"{two['canary']} was begun before {one['canary']} was over")
                if self._is_above(two["canary"], one["canary"]):
                    problems.append(f"{two['canary']} is shown above {one['canary']}")
        return problems

    def _is_above(self, later: str, earlier: str) -> bool:
        """Whether the later prompt's answer stands above the earlier one's, by our doing."""
        places = [self._places.get(canary, -1) for canary in (earlier, later)]
        ours = self._people.prompts[later].command is None
        return ours and -1 not in places and places[0] > places[1]


def _without(left: list[str], found: list[str]) -> list[str]:
    """The texts that are left when each of the found ones was taken out once, "" in its place."""
    gone = Counter(found)
    kept = []
    for text in left:
        kept.append("" if gone[text] > 0 else text)
        gone[text] -= 1
    return kept


def joined(shown: list[str], answers: list[str]) -> list[str]:
    """The messages, but an answer that stands in several ones, one below the other, as one: where
    the platform won't have a message touched for long, a new one goes on with its text.
    """
    whole = {_solid(answer): answer for answer in answers if answer and answer not in shown}
    found = list(shown)
    for start in range(len(shown)):
        for end in range(start + 2, len(shown) + 1):
            answer = whole.get(_solid("".join(found[start:end])))
            if all(found[start:end]) and answer:
                found[start:end] = [answer, *[""] * (end - start - 1)]
    return found


def _solid(text: str) -> str:
    return "".join(text.split())


def says(text: str, prompt: Prompt, row: Row | None) -> bool:
    """Whether a text that is shown is this prompt's answer, or its notice."""
    if text in prompt.answers or (text == LATE and row is not None and row["late"]):
        return True
    if row is not None and row["crowded"] and not row["notice"]:
        return text == CROWDED
    mine = set(CANARY.findall(text)) <= {prompt.canary}
    return bool(mine and row and row["notice"] and row["notice"] in text)


def repeated(rows: list[Row]) -> list[str]:
    """Prompts with several turns."""
    count = Counter(row["canary"] for row in rows)
    return [f"{canary} has {n} turns" for canary, n in count.items() if n > 1]
