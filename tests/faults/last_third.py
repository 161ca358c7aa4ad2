"""Rows 25 to 36 of the fault table: clocks, replicas, bursts, stops, odd answers."""

from tests.faults.breaking import Breakage, Fault

FAULTS = (
    Fault(
        25,
        "The clock is stepped",
        "Deadlines are monotonic, leases by a clock that goes on steadily, the wait for late calls "
        "by the machine's uptime; on PostgreSQL both by the server's clock, and "
        "leases that were taken before that was set back begin anew, as the longest would.",
        (
            Breakage(
                "core/store/clock.py",
                "return lambda: monotonic() + offset",
                "return wall",
                ("tests/core/store/test_clock.py::test_a_step_of_the_wall_clock_is_not_seen",),
            ),
            Breakage(
                "core/store/outcomes.py",
                "row.settles_in if row.settle_since == since else math.inf",
                "row.settles_in",
                ("tests/core/store/test_delivered.py",),
            ),
            Breakage(
                "core/store/clock.py",
                "return until > now + LONGEST",
                "return until > now + 1e6",
                (
                    "tests/core/store/test_claims.py::"
                    "test_a_clock_set_back_leaves_the_dead_the_longest_lease_more",
                    "tests/core/store/test_seats.py::"
                    "test_a_clock_set_back_leaves_the_seats_of_the_dead_one_lease_more",
                ),
            ),
        ),
    ),
    Fault(
        26,
        "Two replicas get the same event",
        "One turn; one of them claims it.",
        (
            Breakage(
                "core/store/inbox.py",
                ".with_for_update(of=conversation, key_share=True, skip_locked=True)",
                ".with_for_update(of=conversation, key_share=True)",
                (
                    "tests/contract/store/test_sharing.py::"
                    "test_a_conversation_that_another_is_taking_is_skipped_and_not_waited_for",
                ),
            ),
            Breakage(
                "core/store/inbox.py",
                '"its_identity": prompt.identity,',
                '"its_identity": f"{prompt.identity} {__import__(\'uuid\').uuid4()}",',
                (
                    "tests/contract/store/test_sharing.py::"
                    "test_one_identity_delivered_to_every_replica_is_one_turn",
                ),
            ),
        ),
    ),
    Fault(
        27,
        "A replica stands still past its lease, and wakes",
        "Before it writes on it asks the database whether it still holds the turn: its fence is "
        "old, nothing is taken from it, and it stops.",
        (
            Breakage(
                "core/store/leases.py",
                '    conversation.c.fence == bindparam("claim_fence"),\n',
                "",
                ("tests/core/store/test_claims.py::test_a_stale_claim_writes_nothing",),
            ),
            Breakage(
                "core/turns/journal.py",
                "        except (LostClaim, Withdrawn):\n            raise\n"
                '        except StoreError as error:\n            log.error("turn.lease_not',
                "        except Withdrawn:\n            raise\n"
                '        except StoreError as error:\n            log.error("turn.lease_not',
                (
                    "tests/core/turns/test_own_lease.py::"
                    "test_who_stood_still_past_its_lease_stops_when_it_wakes",
                ),
            ),
            Breakage(
                "core/delivery/writer.py",
                "held = await self._journal.held()",
                "held = True",
                (
                    "tests/core/turns/test_own_lease.py::"
                    "test_while_its_lease_may_have_ended_it_writes_nothing",
                ),
            ),
        ),
    ),
    Fault(
        28,
        "Somebody edits their question while it is answered",
        "Before anything is visible the new text is answered, once; later only what is stored "
        "follows, but under a line of ours (the help, a refusal), whose place the answer takes.",
        (
            Breakage(
                "core/store/edits.py",
                "(entry is None and _says_only_ours(row))",
                "False",
                (
                    "tests/core/turns/test_mended.py::"
                    "test_it_is_answered_in_the_message_of_the_line",
                    "tests/e2e/test_edits.py::test_discord_edited_under_a_line_of_ours",
                    "tests/e2e/test_edits.py::test_slack_edited_under_a_line_of_ours",
                ),
            ),
            Breakage(
                "core/store/edits.py",
                "unseen = not row.begun and row.state in",
                "unseen = row.state in",
                (
                    "tests/core/turns/test_edits.py::"
                    "test_edited_once_words_are_on_their_way_nobody_is_answered_twice",
                ),
            ),
            Breakage(
                "core/store/edits.py",
                "if not (unseen or (entry is None and _says_only_ours(row))):",
                "if True:",
                (
                    "tests/core/turns/test_edits.py::"
                    "test_edited_before_the_first_words_the_new_text_is_answered_once",
                ),
            ),
        ),
    ),
    Fault(
        29,
        "Somebody goes on asking while they are answered",
        "Kept in order, shown as waiting; ten at most, each one beyond is refused visibly.",
        (
            Breakage(
                "core/store/inbox.py",
                "MOST_OPEN = 10",
                "MOST_OPEN = 1000",
                (
                    "tests/core/turns/test_queueing.py::"
                    "test_thirteen_at_once_ten_are_answered_and_three_are_told_at_once",
                ),
            ),
            Breakage(
                "core/turns/queueing.py",
                "await thread.queued(ahead)",
                "pass",
                (
                    "tests/core/turns/test_queueing.py::"
                    "test_each_is_told_how_many_are_before_it_and_when_its_turn_has_come",
                ),
            ),
        ),
    ),
    Fault(
        30,
        "A deletion and the end of the answer at the same time",
        "Whichever is committed first stands.",
        (
            Breakage(
                "core/store/leases.py",
                'NOTICED = turn.c.withdrawn == bindparam("claim_withdrawn")',
                "NOTICED = turn.c.withdrawn.is_not(None)",
                (
                    "tests/core/store/test_edits.py::"
                    "test_deleted_while_it_is_answered_only_taking_back_goes_on",
                ),
            ),
        ),
    ),
    Fault(
        31,
        "SIGTERM",
        "Answers get SHUTDOWN_GRACE seconds; what is left says that it goes on after the restart, "
        "and does.",
        (
            Breakage(
                "bots/wiring.py",
                "await engine.stop(settings.shutdown_grace)",
                "await engine.stop(0)",
                ("tests/e2e/test_trouble.py::test_sigterm_lets_an_answer_finish_within_the_grace",),
            ),
            Breakage(
                "core/turns/answering.py",
                "self._reply.finish(notices.INTERRUPTED)",
                "self._reply.finish()",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_a_graceful_stop_lets_answers_end_and_then_says_so",
                ),
            ),
        ),
    ),
    Fault(
        32,
        "A Discord command whose process dies after the acknowledgement",
        "The answer fills the message that waits; from minute 14 by the bot's own token, where it "
        "may write; what was never stored is told as such.",
        (
            Breakage(
                "adapters/discord/hook.py",
                " and time_of(self._at.before) + TOKEN_LIFE - spare > self._wall()",
                "",
                (
                    "tests/adapters/discord/test_thread.py::"
                    "test_the_bots_own_token_takes_over_at_minute_fourteen",
                ),
            ),
            Breakage(
                "adapters/discord/hook.py",
                "self._works = False\n        return True",
                "return False",
                (
                    "tests/adapters/discord/test_thread.py::"
                    "test_a_token_that_dies_is_followed_by_the_bots_own_on_the_same_message",
                ),
            ),
        ),
    ),
    Fault(
        33,
        "An answer longer than a message",
        "Part k is message k; parts that are through never change.",
        (
            Breakage(
                "core/delivery/reply.py",
                "return Delivery(index, self._ids.get(index), text, Kind.FINAL)",
                "return Delivery(index, None, text, Kind.FINAL)",
                ("tests/core/delivery/test_writer.py::test_a_hundred_thousand_characters",),
            ),
        ),
    ),
    Fault(
        34,
        "Slack ends a native stream early",
        "The rest follows by edits of the same message, which ends the stream if it is still open.",
        (
            Breakage(
                "adapters/slack/thread.py",
                "        except Refused as refused:\n"
                "            if refused.code in ENDED:\n"
                "                raise\n"
                "            if refused.code == OVER:\n",
                "        except Refused as refused:\n"
                "            if refused.code:\n"
                "                raise\n"
                "            if refused.code == OVER:\n",
                (
                    "tests/adapters/slack/test_streams.py::"
                    "test_a_stream_that_slack_sealed_is_edited",
                    "tests/e2e/test_slack_streams.py::"
                    "test_a_stream_that_slack_ends_early_goes_on_by_edits",
                ),
            ),
            Breakage(
                "adapters/slack/thread.py",
                "                raise\n            self._open.add(part)\n",
                "                raise\n            raise\n            self._open.add(part)\n",
                (
                    "tests/adapters/slack/test_streams.py::"
                    "test_an_edit_ends_a_stream_that_a_dead_process_left_open",
                    "tests/e2e/test_slack_streams.py::test_a_process_killed_in_a_stream",
                ),
            ),
        ),
    ),
    Fault(
        35,
        "A prompt that ends whatever process works on it",
        "After three ends a visible notice and a line in the log; a committed answer: after ten.",
        (
            Breakage(
                "core/turns/asking.py",
                "if self._turn.crashes >= retrying.MOST_ATTEMPTS:",
                "if self._turn.crashes >= 99:",
                (
                    "tests/core/turns/test_poison.py::"
                    "test_a_prompt_that_kills_the_process_is_given_up",
                ),
            ),
            Breakage(
                "core/turns/answering.py",
                "broken = turn.state is State.ANSWERED and turn.crashes >= MOST_SHOWINGS",
                "broken = turn.state is State.ANSWERED and turn.crashes >= 99",
                (
                    "tests/core/turns/test_poison.py::"
                    "test_a_committed_answer_outlives_many_ends_of_its_process",
                ),
            ),
            Breakage(
                "core/turns/answering.py",
                "await self._means.turns.park(turn, parked(turn))\n        raise",
                "pass\n        raise",
                (
                    "tests/core/turns/test_poison.py::"
                    "test_an_answer_that_can_not_be_shown_is_replaced_and_forgotten",
                ),
            ),
        ),
    ),
    Fault(
        36,
        "A backup of the database is restored",
        "What was asked before this process and is untouched in the database is looked for first: "
        "an answer that is there stays, and nothing is asked (Discord: by its thread; follow-ups "
        "only if reading messages tells their nonce).",
        (
            Breakage(
                "core/turns/restored.py",
                "    if not (untouched and",
                "    if True or not (untouched and",
                (
                    "tests/e2e/test_restored.py::test_slack_goes_on_with_an_older_database",
                    "tests/core/turns/test_restored.py",
                ),
            ),
            Breakage(
                "adapters/discord/missed.py",
                'return isinstance(thread, Mapping) and str(thread.get("owner_id"))',
                "return False and str(thread)",
                ("tests/e2e/test_restored.py::test_discord_goes_on_with_an_older_database",),
            ),
        ),
    ),
    Fault(
        37,
        "Edits or appends are refused for long",
        "What is shown stays, and what is missing comes in a new message; a stream is stopped with "
        "what there is. Whoever goes on after a crash makes one message of it.",
        (
            Breakage(
                "core/delivery/lanes.py",
                "if not self._reply.leave(least):",
                "if True:",
                (
                    "tests/e2e/test_left_behind.py::test_edits_are_refused",
                    "tests/e2e/test_left_behind.py::test_edits_in_a_discord_thread_are_refused",
                    "tests/e2e/test_left_behind.py::test_edits_of_a_commands_answer_are_refused",
                    "tests/core/delivery/test_left_behind.py"
                    "::test_a_last_text_that_would_wait_comes_in_a_message_of_its_own",
                ),
            ),
            Breakage(
                "core/delivery/lanes.py",
                "if (edited or self._refuses()) and self._reply.end_stream(now):",
                "if False:",
                ("tests/e2e/test_left_behind.py::test_pieces_of_a_stream_are_refused",),
            ),
        ),
    ),
    Fault(
        38,
        "A call gets no answer, and its message can't be touched any more",
        "Slack's message is read, and the rest follows behind what it says, once nothing that was "
        "cut off can land any more; where nobody can tell, all of it follows.",
        (
            Breakage(
                "core/delivery/reply.py",
                "self.visible.says(delivery.index) or says",
                "self.visible.last(delivery.index)",
                (
                    "tests/core/delivery/test_doubt.py::test_nothing_is_said_twice_nor_left_out",
                    "tests/core/delivery/test_doubt.py::test_where_nobody_can_tell_all_of_it_follows",
                ),
            ),
            Breakage(
                "core/delivery/looking.py",
                "if read and (says == texts[-1] or self._now() >= landing):",
                "if read:",
                ("tests/core/delivery/test_doubt.py::test_nothing_is_said_twice_nor_left_out",),
            ),
            Breakage(
                "adapters/slack/thread.py",
                "return which(plain(own(message)), texts) if message else None",
                "return None",
                ("tests/adapters/slack/test_stuck_streams.py::test_what_a_message_says_is_read",),
            ),
        ),
    ),
)
