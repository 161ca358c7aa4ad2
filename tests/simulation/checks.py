"""What must hold once the faults have stopped and everything is quiet. Numbers: the invariants.

At all times, while it plays (world, books, sites, wire, people, process, logs): I6 acknowledged
means committed; I7 a complete answer is not asked for again; I9 no words of another conversation,
shown or sent; I10 nobody's words and no secret are logged; I11 one call at most after a refusal for
good; I12 no process is faster than its allowance, nor than Discord's headers; I13 the order of a
thread, one turn at a time; ten prompts of a thread wait at most; no message shows an older state
after its turn's end; nothing is written under an old claim, or of an answer whose question was
deleted.
Here: I1, I2, I4 (and with it I3: no text on show is an interim state), I5, I7 (at most 3), I10 (no
secret is stored). `changed`: what people edited and deleted, I8. `baseline`: I14.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations

from core.delivery.reply import Reply
from core.lifecycle import State
from core.store.edits import MARK
from core.types import PartId, Role, Verdict
from tests.simulation.changed import changed
from tests.simulation.logs import SECRET
from tests.simulation.sites import FOLLOW_UP, SMALL, Shown, Site
from tests.simulation.store import Row
from tests.simulation.world import World

_ASKED_AGAIN_FOR = (
    *("api", "outage of api", "store", "outage of store", "ambiguous", "locked out"),
)
_ANSWERS = (Verdict.COMPLETE, Verdict.LENGTH, Verdict.STOPPED)


def violations(world: World, sites: Sequence[Site]) -> list[str]:
    """What is wrong at the end; empty when all is well."""
    turns = {row["identity"]: row for row in world.vault.rows("SELECT * FROM turn")}
    found = [f"I1 acknowledged, not stored: {i}" for i in world.acknowledged - turns.keys()]
    found += [f"I2 a turn without a prompt: {i}" for i in turns.keys() - world.prompts.keys()]
    if world.regime.reads_back:
        lost = world.prompts.keys() - turns.keys() - world.erased - world.unasked
        found += [f"I1 lost: {i}" for i in sorted(lost)]
    for row in turns.values():
        found += _turn(world, row, sites)
        found += changed(world, row)
    most = {what: 3 + 3 * world.asked_anew[what] for what in world.asked}
    found += [f"I7 asked {n} times: {what}" for what, n in world.asked.items() if n > most[what]]
    if not (world.points or any(world.hits[why] for why in _ASKED_AGAIN_FOR)):
        again = {what: n for what, n in world.asked.items() if n > 1 and not world.hits["stopped"]}
        if again:
            found.append(f"I7 asked again without a reason: {again}")
    for table in ("turn", "message", "part", "conversation"):
        if SECRET in str(world.vault.rows(f"SELECT * FROM {table}")):
            found.append(f"I10 a secret is stored: {table}")
    return found + _history(world, turns)


def _turn(world: World, row: Row, sites: Sequence[Site]) -> list[str]:
    """I1, I2 and I4 of one turn."""
    identity = row["identity"]
    shown = [m for site in sites for m in _in_order(site) if m.identity == identity]
    by_people = any(message.by_people for message in shown)
    case = world.books.cases.get(identity)
    closed = any(identity in site.refused for site in sites)
    match row["state"]:
        case State.SETTLED:
            expected = _expected(row, sites)
            shown = [message for message in shown if not message.gone]
            allowed = _not_to_be_found(row, sites, expected, world)
            shown = [message for message in shown if message not in allowed]
            # What people took away stays away; nothing else may be there, unless nothing could be
            # taken away any more.
            open_ = (m for m in shown if m.sealed_at is not None and not m.stays)
            if any(open_) and not by_people:
                return [f"{identity}: left as a stream"]
            # Not promised: nobody knows that an older text came over what a dead process had shown.
            less = by_people or any(message.overtaken and message.foreign for message in shown)
            for visible in _besides_foreign(shown):
                whole = _solid(visible) == _solid(expected)
                right = _some_of(visible, expected) if less else whole
                if closed:
                    right = by_people or _some_of(expected, visible)
                if right:
                    return []
            return [f"I2 I4 {identity}: {[m.texts[-1] for m in shown]} instead of {expected}"]
        case State.ABANDONED:
            return [] if closed else [f"I1 {identity} is abandoned without a reason"]
        case State.CANCELLED:
            if closed:  # what stands there can't be taken away any more
                return []
            if case is None or case.withdrawn not in ("untouched", "open"):
                # Not promised: a part that we took away is needed where parts had to be smaller.
                strict = any(site.most < SMALL for site in sites if identity in site.limits)
                ours = strict and any(message.gone for message in shown)
                return [] if by_people or ours else [f"I1 {identity} is cancelled without a reason"]
            left = [
                m for m in shown if not m.gone and m not in _not_to_be_found(row, sites, [], world)
            ]
            return [f"{identity} was deleted, visible: {m.texts[-1]}" for m in left]
        case _:
            return [f"I1 stuck: {identity} is {row['state']} {row['reason']}"]


def _besides_foreign(shown: Sequence[Shown]) -> Iterator[list[str]]:
    """What they say, without any of those that stay with a text that nobody knew, or behind one
    that lost some of its own: all of that is said again then.
    """
    lost = any(message.overtaken and message.stays for message in shown)
    foreign = [message for message in shown if message.foreign or (lost and message.stays)]
    for count in range(len(foreign) + 1):
        for without in combinations(foreign, count):
            yield [m.texts[-1] for m in shown if all(m is not other for other in without)]


def _in_order(site: Site) -> list[Shown]:
    """Everything of ours as people see it: by what platforms order it by, a time or a number."""
    return [site.messages[part] for part in sorted(site.messages, key=_moment)]


def _moment(part: PartId) -> Decimal:
    return Decimal(part.partition(":")[2])


def _not_to_be_found(
    row: Row, sites: Sequence[Site], expected: list[str], world: World
) -> list[Shown]:
    """Parts beyond the answer's that a dead process posted, where posts can't be found by key, and
    further messages by an interaction's token whose ids were lost.

    Nobody knows their ids: this is not promised.
    """
    parts = world.vault.rows(
        "SELECT position FROM part WHERE turn_id = ? AND part_id IS NULL", row["id"]
    )
    keys = {
        f"{row['identity']}:{part['position']}"
        for part in parts
        if part["position"] >= len(expected)
    }
    rows = world.vault.rows("SELECT part_id FROM part WHERE turn_id = ?", row["id"])
    known = {part["part_id"] for part in rows}
    found = [
        message
        for site in sites
        if not site.finds
        for part, message in site.messages.items()
        if message.identity == row["identity"]
        and not message.gone
        and (message.key in keys or (message.key == FOLLOW_UP and part not in known))
    ]
    world.hits["left over, not to be found"] += len(found)
    return found


def _solid(texts: list[str]) -> str:
    """What is said, without blanks. Where messages end isn't promised: they may have had to be
    smaller, or one couldn't be touched for long, and the next one went on with its text.
    """
    return "".join("".join(texts).split())


def _some_of(visible: list[str], expected: list[str]) -> bool:
    """Whether the texts occur in what is expected, in their order and none in another."""
    whole, at = _solid(expected), 0
    for text in visible:
        if (at := whole.find(_solid([text]), at)) < 0:
            return False
        at += len(_solid([text]))
    return True


def _expected(row: Row, sites: Sequence[Site]) -> list[str]:
    """The parts of a committed outcome, as people have to see them."""
    site = next(site for site in sites if row["identity"] in site.limits)
    reply = Reply(site.limits[row["identity"]])
    reply.add(row["answer"])
    reply.finish(row["notice"])
    return [site.render(text) for text in reply.texts]


def _history(world: World, turns: Mapping[str, Row]) -> list[str]:
    """I5: one entry per answer, as committed; the order of each thread is the platform's."""
    rows = world.vault.rows("SELECT * FROM message ORDER BY conversation_id, position")
    # What the thread had said before was taken in as the platform shows it, with its identity.
    rows = [row for row in rows if row["role"] == Role.ASSISTANT and not row["identity"]]
    answers = Counter(row["turn_id"] for row in rows)
    wanted = Counter(
        row["id"] for row in turns.values() if row["verdict"] in _ANSWERS and row["attempts"]
    )
    found = [] if answers == wanted else [f"I5 history: {answers} instead of {wanted}"]
    texts = {
        row["id"]: MARK if row["withdrawn"] and not row["answer"] else row["answer"]
        for row in turns.values()
    }
    return found + [
        f"I5 remembered is not what was answered: turn {row['turn_id']}"
        for row in rows
        if row["content"] != texts.get(row["turn_id"])
    ]
