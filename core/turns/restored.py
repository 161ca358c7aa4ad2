"""What an older database doesn't know: answers that were given before a backup was restored."""

from collections.abc import Callable
from functools import partial

import structlog

from core.delivery.finding import post_key
from core.errors import DeliveryError, LockedOut, Undeliverable
from core.placing import Recalls
from core.ports import FindsPost, Thread, Turn
from core.turns.patience import briefly

log = structlog.get_logger()


async def answered_before(
    turn: Turn, thread: Thread, began: float, now: Callable[[], float]
) -> bool:
    """Whether an answer is there already, though the database says that nothing was begun.

    began: when this process did, in seconds since the epoch. Only what was asked before that can
    have been answered by somebody whose database is no more, so that usually no call is made.
    now: seconds, monotonic. Where posts can't be found, or can't be looked for now: False.
    Raises: LockedOut.
    """
    untouched = turn.attempts == 0 and not turn.parts
    if not (untouched and turn.prompt.asked_at < began and isinstance(thread, FindsPost)):
        return False
    look = thread.stood if isinstance(thread, Recalls) else thread.find
    try:
        return bool(await briefly(partial(look, post_key(turn.prompt.identity, 0)), now))
    except LockedOut:
        raise
    except Undeliverable:
        return False  # answering will meet it, too
    except DeliveryError as error:
        log.warning("turn.not_looked_for", turn=turn.id, error=str(error))
        return False
