"""What is done for every turn is compiled once, and goes to SQLite's driver as it is.

Building a statement, and what SQLAlchemy does around it, cost several times its execution.
"""

from sqlalchemy import Connection, Executable, event

from core.lifecycle import State
from core.store import claims, history, inbox, leases
from core.store.clock import Uptime
from core.store.recent import recent
from core.types import Memory, PartId
from tests.core.store.making import COMPLETE, HERE, SPOKEN, THREAD, Store, prompt, traced


def life(conn: Connection, number: int) -> None:
    """All that is done for one turn."""
    assert inbox.accept(conn, prompt(number), 1.0 + number)
    given_back = inbox.claim(conn, "worker", HERE, 30.0, 100.0, Uptime(100.0, ""))
    assert given_back
    claims.release(conn, given_back)
    claimed = inbox.claim(conn, "worker", HERE, 30.0, 100.0, Uptime(100.0, ""))
    assert claimed
    leases.renew(conn, claimed, 30.0, 100.0)
    assert claims.attempt(conn, claimed) == 1
    claims.announce(conn, claimed, 0, True)
    claims.posted(conn, claimed, 0, PartId("p"), False)
    claims.answer(conn, claimed, COMPLETE, SPOKEN, Memory(), 100.0)
    claims.finish(conn, claimed, State.SETTLED, "", 100.0)
    assert len(history.load(conn, THREAD).messages) == 2 * number
    assert inbox.waiting(conn, THREAD) == 0
    assert recent(conn, "slack", 0.0, 10)


async def test_a_turn_needs_only_what_was_compiled_before(store: Store) -> None:
    def watched(conn: Connection) -> tuple[list[str], list[str]]:
        built: list[str] = []

        def note(_conn: Connection, statement: Executable, *_rest: object) -> None:
            built.append(str(statement))

        event.listen(conn, "before_execute", note)
        with traced(conn) as executed:
            life(conn, 2)
        event.remove(conn, "before_execute", note)
        return built, executed

    await store.database.write(life, 1)
    built, executed = await store.database.write(watched)
    assert built == []
    assert len(executed) > 20
