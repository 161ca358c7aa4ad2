"""Rows 13 to 24 of the fault table: the API, the platforms' refusals, people, the disk."""

from tests.faults.breaking import Breakage, Fault

FAULTS = (
    Fault(
        13,
        "The API says 400 or 401",
        "One calm sentence with the trace id, no second attempt, the fix in the log.",
        (
            Breakage(
                "core/turns/retrying.py",
                "    Failure.EMPTY: Change.SAME,",
                "    Failure.EMPTY: Change.SAME,\n    Failure.CREDENTIALS: Change.NONE,",
                (
                    "tests/core/turns/test_retrying.py::test_what_is_never_tried_again",
                    "tests/e2e/test_trouble.py::"
                    "test_a_wrong_key_is_one_calm_sentence_and_a_fix_for_the_operator",
                ),
            ),
        ),
    ),
    Fault(
        14,
        "The API says 429 or 500 before the first word",
        "Three attempts with jitter, Retry-After honoured up to 30 seconds.",
        (
            Breakage(
                "core/turns/retrying.py",
                "    Failure.SERVER: Change.NONE,\n",
                "",
                (
                    "tests/core/turns/test_retrying.py::test_what_is_tried_again",
                    "tests/e2e/test_trouble.py::test_the_api_down_is_retried_and_then_said",
                ),
            ),
            Breakage(
                "core/turns/retrying.py",
                "if error.retry_after is not None:",
                "if error.retry_after is None and False:",
                (
                    "tests/core/turns/test_retrying.py::test_retry_after_is_honoured_up_to_thirty_seconds",
                ),
            ),
        ),
    ),
    Fault(
        15,
        "A stream ends without [DONE], or by its length",
        "The text stays with a visible sentence; the verdict is stored.",
        (
            Breakage(
                "core/deepseek/reading.py",
                "        if self.settled:\n            self._close(chunks)",
                "        if True:\n            self._close(chunks)",
                ("tests/contract/deepseek/test_streams.py",),
            ),
            Breakage(
                "core/turns/notices.py",
                "            return _LENGTH\n",
                '            return ""\n',
                ("tests/e2e/test_content.py::test_the_end_of_an_answer_is_explained_under_it",),
            ),
        ),
    ),
    Fault(
        16,
        "429 on an interim edit",
        "It is dropped for newer text; the pace falls to what the platform takes, of one channel"
        " alone where it says so.",
        (
            Breakage(
                "core/delivery/writer.py",
                "await self._lanes.refused(delivery, error)",
                "pass",
                ("tests/core/delivery/test_writer.py::test_a_stingier_platform_is_learned",),
            ),
            Breakage(
                "adapters/discord/calls.py",
                "raise RateLimited(wait, narrow=not everything)",
                "await asyncio.sleep(wait)",
                ("tests/adapters/discord/test_calls.py::test_429_in_any_dress",),
            ),
            Breakage(
                "core/delivery/lanes.py",
                "meant = replace(meant, within=None)",
                "pass",
                (
                    "tests/core/delivery/test_writer.py"
                    "::test_what_is_refused_by_itself_holds_up_nobody_else",
                ),
            ),
        ),
    ),
    Fault(
        17,
        "429, 5xx or ok:false on the final edit",
        "Tried until it is shown, for 15 minutes, with a reserve of the budget (and see 37).",
        (
            Breakage(
                "core/delivery/writer.py",
                "self._reply.refused()\n        if isinstance(error, Held)",
                "self._reply.delivered(delivery, delivery.part or PartId(''), self._now())\n"
                "        if isinstance(error, Held)",
                ("tests/core/delivery/test_writer.py::test_a_refused_final_edit_is_tried_again",),
            ),
            Breakage(
                "core/delivery/pacing.py",
                "if kind is Kind.FINAL or finals == 0:",
                "if kind in Kind:",
                ("tests/core/delivery/test_pacing.py::test_what_matters_more_finds_tokens",),
            ),
        ),
    ),
    Fault(
        18,
        "Somebody deletes our message while it is written, or stops it by Slack's own button",
        "A wish to stop: the stream is closed, nothing is posted again. What was stopped stays,"
        " with a line that says so, and is remembered; where it was deleted, the question is.",
        (
            Breakage(
                "core/turns/answering.py",
                "except* PartGone:",
                "except* ZeroDivisionError:",
                ("tests/core/turns/test_engine.py::test_our_message_deleted_is_a_wish_to_stop",),
            ),
            Breakage(
                "core/turns/answering.py",
                "State.CANCELLED, why[1], self._asking.unanswered())",
                "State.CANCELLED, why[1])",
                ("tests/core/turns/test_engine.py::test_our_message_deleted_is_a_wish_to_stop",),
            ),
            Breakage(
                "core/turns/answering.py",
                "except* Stopped:",
                "except* ZeroDivisionError:",
                (
                    "tests/core/turns/test_stopped.py::test_what_was_seen_stays_and_is_remembered",
                    "tests/e2e/test_slack_streams.py::test_a_person_who_stops_a_stream_is_heard",
                ),
            ),
            Breakage(
                "adapters/slack/refusals.py",
                '_GONE = frozenset({"message_not_found"})',
                "_GONE: frozenset[str] = frozenset()",
                ("tests/adapters/slack/test_thread.py::test_what_was_deleted_is_gone",),
            ),
        ),
    ),
    Fault(
        19,
        "Somebody deletes their question",
        "The stream is closed, what is visible of the answer goes, the text leaves the store.",
        (
            Breakage(
                "core/turns/answering.py",
                "        self._writer.withdraw()\n\n    async def run",
                "        pass\n\n    async def run",
                ("tests/core/turns/test_edits.py::test_deleted_while_it_is_answered",),
            ),
            Breakage(
                "core/store/edits.py",
                'erased = {"text": MARK, ',
                "erased = {",
                (
                    "tests/core/store/test_edits.py::test_deleted_when_settled_only_the_question_goes",
                ),
            ),
        ),
    ),
    Fault(
        20,
        "The thread is archived or locked",
        "An archived one is opened again; in a locked one the turn ends, once, with its reason.",
        (
            Breakage(
                "adapters/discord/thread.py",
                "if refused.code != refusals.ARCHIVED or not self._at.member:",
                "if True:",
                (
                    "tests/adapters/discord/test_thread.py::"
                    "test_an_archived_thread_is_opened_for_both_tokens_and_a_locked_one_is_not",
                ),
            ),
            Breakage(
                "adapters/slack/refusals.py",
                "in TOKEN_CODES else Refused(method, code)\n",
                'in TOKEN_CODES else Unreachable(f"{method} {code}")\n',
                (
                    "tests/contract/threads/test_troubles.py::test_nothing_can_be_edited_after_the_end",
                ),
            ),
        ),
    ),
    Fault(
        21,
        "The bot is removed from the channel",
        "The stream is closed, no further call is made for that turn, the conversation is free.",
        (
            Breakage(
                "core/turns/answering.py",
                "except* Undeliverable as group:\n            await",
                "except* ZeroDivisionError as group:\n            await",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_undeliverable_stops_the_stream_and_frees_the_thread",
                ),
            ),
            Breakage(
                "adapters/slack/refusals.py",
                "in TOKEN_CODES else Refused(method, code)\n",
                'in TOKEN_CODES else Unreachable(f"{method} {code}")\n',
                (
                    "tests/e2e/test_trouble.py::"
                    "test_removed_from_the_channel_while_answering_stops_the_answer",
                ),
            ),
        ),
    ),
    Fault(
        22,
        "Our token is revoked",
        "The platform's turns wait and nothing more is asked of it but once a minute; others go "
        "on, /readyz says what to do, a restart with a good token answers them.",
        (
            Breakage(
                "core/turns/answering.py",
                'await self._means.turns.release(self._turn)\n        log.warning("turn.waits',
                "await self._means.turns.finish(self._turn, State.ABANDONED, '')\n"
                '        log.warning("turn.waits',
                (
                    "tests/core/turns/test_locked_out.py::"
                    "test_locked_out_in_the_middle_of_an_answer_and_after_it",
                ),
            ),
        ),
    ),
    Fault(
        23,
        "The database is locked",
        "At the door 1.5 seconds of patience, then the event is refused and comes again; workers "
        "wait 30 seconds and try again.",
        (
            Breakage(
                "core/store/sql.py",
                "INGRESS_PATIENCE = 1.5",
                "INGRESS_PATIENCE = 30.0",
                (
                    "tests/contract/store/test_patience.py::"
                    "test_the_door_waits_no_longer_than_a_platform_does",
                ),
            ),
        ),
    ),
    Fault(
        24,
        "The disk is full",
        "Events are refused, so that they come again; a running answer is shown all the same, "
        "and stored when there is room.",
        (
            Breakage(
                "core/turns/answering.py",
                "self._reply.finish(asked.outcome.notice)\n                self._writer.wake()",
                "pass",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_a_full_disk_at_the_end_delays_the_commit_and_not_the_answer",
                ),
            ),
        ),
    ),
)
