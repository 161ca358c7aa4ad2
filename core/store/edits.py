"""What a person changes after asking: the text edited, or the message deleted.

Each function is one transaction, and locks the conversation first, as every writer of a turn does:
whichever commits first wins. A turn that is withdrawn, or erased, stays so: nothing brings its text
back.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from core.delivery.characters import visible
from core.lifecycle import WITHDRAWN, State
from core.ports import Amended, Turn
from core.store.clock import Now
from core.store.outcomes import OUTCOME
from core.store.schema import conversation, message, part, storable, turn
from core.store.statements import ERASED
from core.types import ASIDE, Remembered, Role, ThreadKey, Verdict

MARK = "[deleted]"
"""What stands where a deleted message was, so that positions and roles stay as they were."""

_Row = Row[tuple[Any, ...]]

_TIMES = ("answered_at", "settled_at", "settle_at", "settle_since")
_begun = exists().where(part.c.turn_id == turn.c.id)
_MARKING = update(message).where(message.c.content != MARK).values(content=MARK)
# What was read from the platform: a prompt, too, where another conversation began with it.
_adopted = message.c.turn_id.is_(None)


def amend(conn: Connection, identity: str, text: str) -> Amended:
    """The message was edited: its turn and the history say `text` from now on.

    When it is being answered, or was, and no part was announced, nothing can be visible: the claim
    is taken away, so that whoever claims the turn next asks with the new text. So they do where all
    that stands there is a line of ours, in the message that shows it. A text that is still to be
    asked is a new question: its attempts are counted from 0.
    """
    text = storable(text)
    row = _locked(conn, identity)
    _amend_adopted(conn, identity, text)
    if row is None:
        return Amended(known=False)
    if row.withdrawn or row.erased or row.text == text:
        return Amended(known=True)
    changed: dict[str, Any] = {"text": text}
    if row.state == State.RECEIVED:
        changed["attempts"] = 0
    conn.execute(update(turn).where(turn.c.id == row.id).values(**changed))
    conn.info[ERASED] = True
    entry = conn.execute(select(message).where(_asked_by(row.id))).first()
    if entry is not None:
        content = _followed(entry.content, entry.author, row.text, text)
        conn.execute(update(message).where(_asked_by(row.id)).values(content=content))
    unseen = not row.begun and row.state in (State.CLAIMED, State.ANSWERED)
    if not (unseen or (entry is None and _says_only_ours(row))):
        return Amended(known=True)
    # Given back: nobody's work broke off.
    changed = {"state": State.RECEIVED, "attempts": 0}
    if row.state != State.CLAIMED:
        changed |= dict.fromkeys((*OUTCOME, *_TIMES)) | {"crashes": 0}
        conn.execute(delete(message).where(message.c.turn_id == row.id))
    if row.state in (State.DELIVERED, State.SETTLED):
        _set_aside(conn, row.id, settled=row.state == State.SETTLED)
    conn.execute(update(turn).where(turn.c.id == row.id).values(**changed))
    # Of one that has ended there is no claim any more, but there may be one of another turn.
    void = row.state != State.SETTLED
    return Amended(known=True, fence=_take_away(conn, row.conversation_id, void=void))


def withdraw(conn: Connection, identity: str, now: Now) -> bool:
    """The message was deleted: its text leaves the store, and an open turn answers it no more.

    True: something of the turn may be visible or on its way, so whoever holds it, or claims it
    next, has to clean up. now: seconds since the epoch.
    """
    asked = _lock(conn, conversation.c.id == _conversation_of(identity))
    _mark_copies(conn, [identity])
    return asked and bool(_withdrawn(conn, turn.c.identity == identity, now))


def withdraw_thread(conn: Connection, thread: ThreadKey, now: Now) -> tuple[str, ...]:
    """A whole thread was deleted: `withdraw`, of every prompt in it, refused ones included.

    What was read there is overwritten in this conversation; it may stand elsewhere, where it was
    written. Returns the prompts of which something may be visible. now: seconds since the epoch.
    """
    if not _lock(conn, _in(thread)):
        return ()
    here = select(conversation.c.id).where(_in(thread))
    whose = turn.c.conversation_id.in_(here)
    # Not `_adopted`, for which SQLite would walk an index of all that was ever read anywhere.
    _mark(conn, (message.c.turn_id + 0).is_(None), message.c.conversation_id.in_(here))
    _mark_copies(conn, conn.execute(select(turn.c.identity).where(whose)).scalars().all())
    return _withdrawn(conn, whose, now)


def current(claimed: Turn, entries: Sequence[Remembered], text: str) -> tuple[Remembered, ...]:
    """The entries that a turn leaves, with its prompt as it reads now: `text`."""
    asked = claimed.prompt.text
    if text == asked:
        return tuple(entries)
    return tuple(
        replace(entry, content=_followed(entry.content, entry.author, asked, text))
        if entry.role is Role.USER
        else entry
        for entry in entries
    )


def _locked(conn: Connection, identity: str) -> _Row | None:
    """The turn of a message, its conversation locked. begun: a part of it was announced."""
    _lock(conn, conversation.c.id == _conversation_of(identity))
    columns = (turn.c.id, turn.c.conversation_id, turn.c.state, turn.c.text)
    outcome = (turn.c.verdict, turn.c.answer)
    flags = (turn.c.withdrawn, turn.c.erased, turn.c.late, turn.c.crowded, _begun.label("begun"))
    row = select(*columns, *outcome, *flags).where(turn.c.identity == identity)
    return conn.execute(row).first()


def _says_only_ours(row: _Row) -> bool:
    """Whether a turn of which nothing is remembered came to a line of ours that an edit can mend.

    What is complete, and isn't remembered, is the help. What came too late, or was too much, stays
    so with any words.
    """
    if row.late or row.crowded or row.state not in (State.ANSWERED, State.DELIVERED, State.SETTLED):
        return False
    return row.verdict == Verdict.COMPLETE or not visible(row.answer)


def _set_aside(conn: Connection, turn_id: int, *, settled: bool) -> None:
    """Of messages, a line of ours takes one: those behind it were removed by us. They are kept at
    negative positions, so that they are neither missed nor brought back by a key that was used.

    settled: nothing is looked for any more. Else all stay as they are where a post may still land.
    """
    behind = part.c.turn_id == turn_id, part.c.position > 0
    unsure = select(part.c.position).where(*behind, part.c.part_id.is_(None))
    if settled or conn.execute(unsure).first() is None:
        former = select(func.count()).where(part.c.turn_id == turn_id, part.c.position < 0)
        aside = -part.c.position - former.scalar_subquery()
        conn.execute(update(part).where(*behind).values(position=aside))


def _lock(conn: Connection, which: ColumnElement[bool]) -> bool:
    """Lock the conversations; False: there are none.

    A statement of its own: what the next one reads is as it stands once the lock is ours.
    """
    found = select(conversation.c.id).where(which).order_by(conversation.c.id).with_for_update()
    return bool(conn.execute(found).all())


def _conversation_of(identity: str) -> ScalarSelect[int]:
    return select(turn.c.conversation_id).where(turn.c.identity == identity).scalar_subquery()


def _in(thread: ThreadKey) -> ColumnElement[bool]:
    """The thread's conversation, and those beside it: a range of the index, not a pattern."""
    beside = (f"{thread}{ASIDE}", f"{thread}{chr(ord(ASIDE) + 1)}")
    key = conversation.c.thread
    return or_(key == thread, and_(key > beside[0], key < beside[1]))


def _withdrawn(conn: Connection, whose: ColumnElement[bool], now: Now) -> tuple[str, ...]:
    """Take the texts of these turns out of the store, and open ones to their end.

    Returns those that are still open: all that something may be visible of.
    """
    new = and_(whose, turn.c.withdrawn.is_(False))
    waits = turn.c.state == State.RECEIVED
    untouched = and_(new, waits, ~_begun)
    at_work = and_(new, turn.c.settled_at.is_(None), ~waits)
    _mark(conn, message.c.turn_id.in_(select(turn.c.id).where(at_work)))  # the answer goes, too
    _mark(conn, message.c.role == Role.USER, message.c.turn_id.in_(select(turn.c.id).where(new)))
    unsaid = {"answer": "", "notice": "", "candidates": []}
    conn.execute(update(turn).where(at_work).values(**unsaid))
    over = {"state": State.CANCELLED, "reason": WITHDRAWN, "settled_at": now}
    conn.execute(update(turn).where(untouched).values(**over))
    erased = {"text": MARK, "files": [], "reasoning": "", "withdrawn": True}
    if conn.execute(update(turn).where(new).values(**erased)).rowcount:
        conn.info[ERASED] = True
    still_open = select(turn.c.identity).where(whose, turn.c.settled_at.is_(None))
    return tuple(conn.execute(still_open).scalars())


def _mark(conn: Connection, *which: ColumnElement[bool]) -> None:
    """Overwrite entries of the history."""
    if conn.execute(_MARKING.where(*which)).rowcount:
        conn.info[ERASED] = True


def _mark_copies(conn: Connection, identities: Sequence[str]) -> None:
    """Overwrite messages in the conversations that read them from the platform."""
    copies = _MARKING.where(_adopted, message.c.identity == bindparam("of"))
    if identities and conn.execute(copies, [{"of": each} for each in identities]).rowcount:
        conn.info[ERASED] = True


def _take_away(conn: Connection, conversation_id: int, *, void: bool) -> int:
    """Void the claim of a conversation if so; returns the fence from which on claims hold."""
    of = conversation.c.id == conversation_id
    if not void:
        return int(conn.execute(select(conversation.c.fence).where(of)).scalar_one())
    return int(
        conn.execute(
            update(conversation)
            .where(of)
            .values(owner=None, lease_until=None, fence=conversation.c.fence + 1)
            .returning(conversation.c.fence)
        ).scalar_one()
    )


def _asked_by(turn_id: int) -> ColumnElement[bool]:
    """The history entry of a turn's prompt."""
    return and_(message.c.turn_id == turn_id, message.c.role == Role.USER)


def _amend_adopted(conn: Connection, identity: str, text: str) -> None:
    """The same for the conversations that read it from the platform; each has its own label."""
    for entry in conn.execute(select(message).where(_adopted, message.c.identity == identity)):
        if entry.content == MARK or entry.role != Role.USER:
            continue
        label = f"{entry.author}: "
        content = label + text if entry.content.startswith(label) else text
        here = and_(
            message.c.conversation_id == entry.conversation_id,
            message.c.position == entry.position,
        )
        conn.execute(update(message).where(here).values(content=content))
        conn.info[ERASED] = True


def _followed(content: str, author: str, before: str, after: str) -> str:
    """An entry's content with the prompt's new text: label and note about files stay."""
    for label in (f"{author}: ", ""):
        if content.startswith(label + before):
            return label + after + content.removeprefix(label + before)
    return after
