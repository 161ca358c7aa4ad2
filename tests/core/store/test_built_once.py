"""Building a statement costs several times its execution: each is built once, then given values."""

from sqlalchemy import Connection, Executable, event

from core.lifecycle import State
from core.store import claims, history, inbox, leases
from core.types import Memory, PartId
from tests.core.store.making import COMPLETE, HERE, SPOKEN, THREAD, Store, prompt


def life(conn: Connection, number: int) -> list[Executable]:
    """All that is done for one turn; returns the statements, in their order."""
    seen: list[Executable] = []

    def note(_conn: Connection, statement: Executable, *_rest: object) -> None:
        seen.append(statement)

    event.listen(conn, "before_execute", note)
    assert inbox.accept(conn, prompt(number), 1.0 + number)
    given_back = inbox.claim(conn, "worker", HERE, 30.0, 100.0)
    assert given_back
    claims.release(conn, given_back)
    claimed = inbox.claim(conn, "worker", HERE, 30.0, 100.0)
    assert claimed
    leases.renew(conn, claimed, 30.0, 100.0)
    assert claims.attempt(conn, claimed) == 1
    claims.announce(conn, claimed, 0)
    claims.posted(conn, claimed, 0, PartId("p"))
    claims.answer(conn, claimed, COMPLETE, SPOKEN, Memory(), 100.0)
    claims.finish(conn, claimed, State.SETTLED, "", 100.0)
    assert len(history.load(conn, THREAD).messages) == 2 * number
    assert inbox.waiting(conn, THREAD) == 0
    assert inbox.recent(conn, "slack", 0.0, 10)
    assert leases.take_over(conn, HERE) == 0
    event.remove(conn, "before_execute", note)
    return seen


async def test_no_turn_builds_a_statement_that_one_before_it_has_built(store: Store) -> None:
    first = await store.database.write(life, 1)
    second = await store.database.write(life, 2)
    assert len(second) > 20
    built = {id(statement) for statement in first}
    assert [str(statement) for statement in second if id(statement) not in built] == []
