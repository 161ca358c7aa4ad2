"""What a person changes after asking: the text edited, or the message deleted.

Each function is one transaction, and locks the conversation first, as every writer of a turn does:
whichever commits first wins. A turn that is withdrawn stays so: nothing brings its text back.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, select, update

from core.lifecycle import OPEN, State
from core.ports import Amended, Turn
from core.store.clock import Now
from core.store.schema import conversation, message, part, storable, turn
from core.store.statements import ERASED
from core.types import Remembered, Role

MARK = "[deleted]"
"""What stands where a deleted message was, so that positions and roles stay as they were."""
WITHDRAWN = "the prompt was deleted"

_Row = Row[tuple[Any, ...]]


def amend(conn: Connection, identity: str, text: str) -> Amended:
    """The message was edited: its turn and the history say `text` from now on.

    When it is being answered and no part was announced, nothing can be visible: the claim is taken
    away, so that whoever claims the turn next asks with the new text. A text that is still to be
    asked is a new question: its attempts are counted from 0.
    """
    text = storable(text)
    row = _locked(conn, identity)
    _amend_adopted(conn, identity, text)
    if row is None:
        return Amended(known=False)
    if row.withdrawn or row.text == text:
        return Amended(known=True)
    changed: dict[str, Any] = {"text": text}
    if row.state == State.RECEIVED:
        changed["attempts"] = 0
    conn.execute(update(turn).where(turn.c.id == row.id).values(**changed))
    conn.info[ERASED] = True
    for entry in conn.execute(select(message).where(_asked_by(row.id))):
        content = _followed(entry.content, entry.author, row.text, text)
        conn.execute(update(message).where(_asked_by(row.id)).values(content=content))
    if row.state != State.CLAIMED or row.begun:
        return Amended(known=True)
    # Given back: nobody's work broke off.
    conn.execute(update(turn).where(turn.c.id == row.id).values(state=State.RECEIVED, attempts=0))
    return Amended(known=True, fence=_take_away(conn, row.conversation_id))


def withdraw(conn: Connection, identity: str, now: Now) -> bool:
    """The message was deleted: its text leaves the store, and an open turn answers it no more.

    True: something of the turn may be visible or on its way, so whoever holds it, or claims it
    next, has to clean up. now: seconds since the epoch.
    """
    row = _locked(conn, identity)
    if conn.execute(update(message).where(_adopted(identity)).values(content=MARK)).rowcount:
        conn.info[ERASED] = True
    if row is None:
        return False
    if row.withdrawn:
        return row.state in OPEN
    erased: dict[str, Any] = {"text": MARK, "files": [], "reasoning": "", "withdrawn": True}
    whose = _asked_by(row.id)
    if row.state in OPEN and row.state != State.RECEIVED:
        erased |= {"answer": "", "notice": "", "candidates": []}
        whose = message.c.turn_id == row.id  # the answer goes, too
    untouched = row.state == State.RECEIVED and not row.begun
    if untouched:
        erased |= {"state": State.CANCELLED, "reason": WITHDRAWN, "settled_at": now}
    conn.execute(update(turn).where(turn.c.id == row.id).values(**erased))
    conn.info[ERASED] = True
    conn.execute(update(message).where(whose).values(content=MARK))
    return row.state in OPEN and not untouched


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
    whose = select(turn.c.conversation_id).where(turn.c.identity == identity).scalar_subquery()
    # A statement of its own: what the next one reads is as it stands once the lock is ours.
    conn.execute(select(conversation.c.id).where(conversation.c.id == whose).with_for_update())
    begun = exists().where(part.c.turn_id == turn.c.id).label("begun")
    columns = (turn.c.id, turn.c.conversation_id, turn.c.state, turn.c.text, turn.c.withdrawn)
    return conn.execute(select(*columns, begun).where(turn.c.identity == identity)).first()


def _take_away(conn: Connection, conversation_id: int) -> int:
    """Void the claim of a conversation; returns the fence from which on claims hold."""
    return int(
        conn.execute(
            update(conversation)
            .where(conversation.c.id == conversation_id)
            .values(owner=None, lease_until=None, fence=conversation.c.fence + 1)
            .returning(conversation.c.fence)
        ).scalar_one()
    )


def _asked_by(turn_id: int) -> ColumnElement[bool]:
    """The history entry of a turn's prompt."""
    return and_(message.c.turn_id == turn_id, message.c.role == Role.USER)


def _adopted(identity: str) -> ColumnElement[bool]:
    """The history entries of a message that was read from the platform: of a prompt, too, where
    another conversation began with it.
    """
    return and_(message.c.identity == identity, message.c.turn_id.is_(None))


def _amend_adopted(conn: Connection, identity: str, text: str) -> None:
    """The same for the conversations that read it from the platform; each has its own label."""
    for entry in conn.execute(select(message).where(_adopted(identity))):
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
