"""Rows 1 to 12 of the fault table: the process dies, the network fails."""

from tests.faults.breaking import Breakage, Fault

FAULTS = (
    Fault(
        1,
        "kill -9 before the prompt is committed",
        "Nothing was acknowledged: Slack brings the event again, Discord's is read back.",
        (
            Breakage(
                "adapters/slack/app.py",
                "new = await self._backlog.take(outcome)\n",
                "new = asyncio.create_task(self._backlog.take(outcome)) is not None\n",
                ("tests/adapters/slack/test_app.py::test_no_acknowledgement_before_the_commit",),
            ),
            Breakage(
                "adapters/discord/incoming.py",
                "def begin(self) -> None:",
                "def begin(self) -> None:\n        return\n\n    def _begin(self) -> None:",
                (
                    "tests/adapters/discord/test_app.py::"
                    "test_what_was_asked_while_nobody_listened_is_taken_once",
                ),
            ),
        ),
    ),
    Fault(
        2,
        "kill -9 after the acknowledgement, before the prompt is stored",
        "Can't be: Bolt's last middleware commits, and its answer is the acknowledgement.",
        (
            Breakage(
                "adapters/slack/app.py",
                'return BoltResponse(status=500, body="")',
                'return BoltResponse(status=200, body="")',
                (
                    "tests/adapters/slack/test_app.py::"
                    "test_what_was_not_committed_is_delivered_again",
                ),
            ),
        ),
    ),
    Fault(
        3,
        "kill -9 after the commit, before the acknowledgement",
        "The event comes again and is known: one turn.",
        (
            Breakage(
                "core/store/inbox.py",
                '"its_identity": prompt.identity,',
                '"its_identity": f"{prompt.identity} {__import__(\'uuid\').uuid4()}",',
                (
                    "tests/core/store/test_inbox.py::"
                    "test_a_known_identity_is_refused_before_and_after_its_answer",
                ),
            ),
        ),
    ),
    Fault(
        4,
        "Kill after a post landed, before its id is stored",
        "The post was announced: the next process finds it by its key (Discord: posts the same "
        "nonce, which gives the same message; after some minutes by its being nobody else's) and "
        "goes on in it.",
        (
            Breakage(
                "core/delivery/calling.py",
                "await self._journal.announce(delivery.index, named=",
                "_ = (",
                ("tests/core/delivery/test_posts.py::test_every_part_is_announced_then_kept",),
            ),
            Breakage(
                "core/delivery/writer.py",
                "if not isinstance(self._thread, FindsPost):\n            self._reply.found",
                "if True:\n            self._reply.found",
                ("tests/core/delivery/test_posts.py::test_an_ambiguous_post_is_not_doubled",),
            ),
            Breakage(
                "adapters/discord/thread.py",
                '(self._identity, key), "enforce_nonce": True}\n        if self._replies',
                "(self._identity, key)}\n        if self._replies",
                ("tests/contract/threads/test_texts.py::test_the_same_key_is_the_same_message",),
            ),
            Breakage(
                "core/delivery/finding.py",
                "return left if len(left) == 1 or thread.exclusive else ()",
                "return ()",
                (
                    "tests/core/delivery/test_nameless.py::"
                    "test_a_post_that_no_key_finds_is_told_by_what_is_known_of_the_others",
                ),
            ),
            Breakage(
                "adapters/discord/lost.py",
                "_author(message) == bot",
                "_author(message) != bot",
                ("tests/adapters/discord/test_lost.py",),
            ),
        ),
    ),
    Fault(
        5,
        "Kill in the middle of a stream",
        "The next process asks again, three attempts at most, and goes on in the same message.",
        (
            Breakage(
                "core/turns/answering.py",
                "self._reply = Reply(thread.limits, turn.parts)",
                "self._reply = Reply(thread.limits, ())",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_a_process_that_dies_is_continued_in_the_same_message",
                ),
            ),
            Breakage(
                "core/turns/asking.py",
                "if number > retrying.MOST_ATTEMPTS:",
                "if number > 99:",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_three_attempts_are_the_most_across_graceful_restarts",
                ),
            ),
        ),
    ),
    Fault(
        6,
        "Kill after the outcome was committed, before the final edit",
        "The final text is shown from the database; the API isn't asked again.",
        (
            Breakage(
                "core/turns/answering.py",
                "if outcome is not None:  # committed",
                "if outcome is None:  # committed",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_an_answer_that_was_committed_is_never_asked_for_again",
                ),
            ),
        ),
    ),
    Fault(
        7,
        "Kill after the final edit, before the turn is settled",
        "The same text is written into the same messages once more: nothing visible changes.",
        (
            Breakage(
                "core/turns/answering.py",
                "self._reply.finish(outcome.notice)\n",
                "self._reply.finish(outcome.notice + '.')\n",
                (
                    "tests/core/turns/test_engine.py::"
                    "test_an_answer_that_was_committed_is_never_asked_for_again",
                ),
            ),
        ),
    ),
    Fault(
        8,
        "An edit that was cut off lands after the final one",
        "Settling: after 25 seconds everything is made sure of once more, then the turn ends.",
        (
            Breakage(
                "core/delivery/writer.py",
                "self._doubt = self._now()\n",
                "self._doubt = None\n",
                (
                    "tests/core/delivery/test_settling.py::"
                    "test_an_edit_that_lands_after_the_final_text_is_put_right",
                ),
            ),
            Breakage(
                "core/delivery/writer.py",
                "await self._clearing.twins(self._ambiguous)\n            self._reply.recheck()",
                "self._reply.recheck()",
                (
                    "tests/core/delivery/test_settling.py::"
                    "test_a_post_that_lands_after_its_repetition_is_removed",
                ),
            ),
        ),
    ),
    Fault(
        9,
        "An event comes twice, late, or in two envelopes",
        "The message's identity is the key, not the event's: one turn, for as long as it is kept.",
        (
            Breakage(
                "core/store/inbox.py",
                '"its_identity": prompt.identity,',
                '"its_identity": f"{prompt.identity} {__import__(\'uuid\').uuid4()}",',
                (
                    "tests/core/store/test_inbox.py::test_mention_and_message_event_of_one_message",
                    "tests/core/store/test_inbox.py::test_twenty_deliveries_at_once_are_one_turn",
                ),
            ),
        ),
    ),
    Fault(
        10,
        "Events out of order",
        "A conversation is answered and remembered in the platform's order.",
        (
            Breakage(
                "core/store/inbox.py",
                ".order_by(turn.c.sequence, turn.c.id)\n        .limit(1)\n    )\n\n\ndef claim(",
                ".order_by(turn.c.id)\n        .limit(1)\n    )\n\n\ndef claim(",
                ("tests/core/store/test_inbox.py::test_the_platform_orders_a_conversation",),
            ),
        ),
    ),
    Fault(
        11,
        "The socket is lost in the middle of a turn",
        "A turn belongs to the engine, not to a socket: the socket is resumed or opened anew, and "
        "what was missed is read back.",
        (
            Breakage(
                "adapters/discord/gateway.py",
                "last = self.ws if self.ws is not None and self.ws.session_id else None",
                "last = None",
                (
                    "tests/adapters/discord/test_gateway.py::"
                    "test_a_socket_that_ends_is_resumed_and_nothing_is_asked_twice",
                ),
            ),
            Breakage(
                "adapters/slack/socket_mode.py",
                "                client.wss_uri = None\n",
                "                pass\n",
                (
                    "tests/adapters/slack/test_socket_mode.py::"
                    "test_a_dead_address_is_not_dialled_for_ever",
                ),
            ),
            Breakage(
                "adapters/slack/socket_mode.py",
                "self._linked(False)  # nobody",
                "pass  # nobody",
                (
                    "tests/adapters/slack/test_missed_when.py::"
                    "test_after_the_socket_was_down_longer_than_the_deliveries",
                ),
            ),
        ),
    ),
    Fault(
        12,
        "The API goes silent, or its connection is half open",
        "Clocks for any byte (60 seconds), the first word, progress and the whole turn; the answer "
        "so far stays, with a sentence. When it was us who stood still, the wait begins anew.",
        (
            Breakage(
                "core/deepseek/client.py",
                "self._idle = options.idle_timeout if stream else math.inf",
                "self._idle = math.inf",
                ("tests/contract/deepseek/test_clocks.py",),
            ),
            Breakage(
                "core/deepseek/client.py",
                "return self._limit() - self._waited",
                "return math.inf",
                ("tests/contract/deepseek/test_clocks.py",),
            ),
            Breakage(
                "core/deepseek/client.py",
                "if now - began < limit + LATE:",
                "if True:",
                ("tests/contract/deepseek/test_stood_still.py",),
            ),
        ),
    ),
)
