"""What tests/core/store says of the store on a file, said once more on PostgreSQL.

The same functions, run with this directory's `store`. Left out are those about the file itself:
how SQLite finds a row, its settings, its locks.
"""

from collections.abc import Callable
from types import ModuleType

from tests.core.store import (
    test_built_once,
    test_claims,
    test_crashes,
    test_crowd,
    test_deleted_threads,
    test_delivered,
    test_edits,
    test_exchanges,
    test_history,
    test_inbox,
    test_recent,
    test_retention,
    test_seats,
    test_strangers,
)

_ABOUT_THE_FILE = {
    "test_work_is_found_by_index_among_ten_thousand_settled_turns",
    "test_the_recent_ones_are_found_by_index_among_ten_thousand",
    "test_a_window_is_one_clustered_range",
    "test_the_file_holds_a_deleted_text_no_more",
    "test_what_was_edited_away_is_in_no_file",
    "test_what_was_only_read_and_then_deleted_is_in_no_file",
    "test_a_reader_that_stays_keeps_what_was_deleted_only_while_it_does",
    "test_a_conversation_is_found_by_index_among_ten_thousand_turns",
    "test_all_of_it_is_found_by_index",
    "test_the_threads_of_a_place_are_looked_for_in_its_range_only",
    "test_side_by_side_no_more_get_in",
    "test_what_is_known_is_known_whether_it_was_refused_or_not",
}


def _tests_of(module: ModuleType) -> dict[str, Callable[..., object]]:
    return {
        name: member
        for name, member in vars(module).items()
        if name.startswith("test_") and name not in _ABOUT_THE_FILE
    }


for _module in (
    test_built_once,
    test_claims,
    test_crashes,
    test_crowd,
    test_deleted_threads,
    test_delivered,
    test_edits,
    test_exchanges,
    test_history,
    test_inbox,
    test_recent,
    test_retention,
    test_seats,
    test_strangers,
):
    _new = _tests_of(_module)
    assert not _new.keys() & globals().keys(), "two tests of one name: one would hide the other"
    globals().update(_new)


def test_every_one_of_them_is_here() -> None:
    assert sum(name.startswith("test_") for name in globals()) > 40
