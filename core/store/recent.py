"""Where people talked to us lately, for reading back what was missed there."""

from sqlalchemy import BindParameter, Connection, Integer, Select, bindparam, func, select

from core.ports import Recent
from core.store.schema import conversation, turn
from core.store.statements import Statement, one_statement
from core.types import ThreadKey


@one_statement
def recent(conn: Connection, platform: str, since: float, limit: int) -> tuple[Recent, ...]:
    """The conversations of a platform with a turn received at `since` or later, newest first."""
    return tuple(
        Recent(ThreadKey(row.thread), row.sequence, row.first)
        for row in _RECENT.rows(conn, {"on": platform, "since": since, "limit": limit})
    )


def recent_turns(
    platform: str | BindParameter[str],
    since: float | BindParameter[float],
    limit: int | BindParameter[int],
) -> Select[str, str, str]:
    """Each thread, the sequence of its newest turn and that of its first; one read of two indexes.

    The conversations are found by the age of their turns; the newest turn, which may be older
    than `since`, by the order within each.
    """
    # Materialized: else SQLite walks every turn in the order of the conversations to group them.
    found = (
        select(turn.c.conversation_id, turn.c.received_at)
        .where(turn.c.received_at >= since)
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    lately = (
        select(found.c.conversation_id, func.max(found.c.received_at).label("at"))
        .group_by(found.c.conversation_id)
        .subquery("lately")
    )
    other = turn.alias("other")
    newest = (
        select(other.c.id)
        .where(other.c.conversation_id == conversation.c.id)
        .order_by(other.c.sequence.desc(), other.c.id.desc())
        .limit(1)
        .correlate(conversation)
        .scalar_subquery()
    )
    first = (
        select(func.min(other.c.sequence))
        .where(other.c.conversation_id == conversation.c.id)
        .correlate(conversation)
        .scalar_subquery()
    )
    return (
        select(conversation.c.thread, turn.c.sequence, first.label("first"))
        .select_from(lately)
        .join(conversation, conversation.c.id == lately.c.conversation_id)
        .join(turn, turn.c.id == newest)
        .where(conversation.c.platform == platform, turn.c.crowded.is_(False))
        .order_by(lately.c.at.desc(), conversation.c.id.desc())
        .limit(limit)
    )


_RECENT = Statement(
    recent_turns(bindparam("on"), bindparam("since"), bindparam("limit", type_=Integer()))
)
