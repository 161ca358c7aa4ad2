"""Messages and interactions in the shapes Discord sends, and who we are in them.

Shapes: docs.discord.com/developers/resources/message and .../interactions/receiving-and-responding.
"""

from typing import Any

from hypothesis import strategies as st

from adapters.discord.ids import Bot

BOT = Bot(user="700", application="701", name="threadseek", roles=frozenset({"790"}))
GUILD, CHANNEL, THREAD, DIRECT = "10", "20", "30", "40"
ALICE = {"id": "100", "username": "alice", "global_name": "Alice B.", "discriminator": "0"}
BOB = {"id": "101", "username": "bob", "global_name": None, "discriminator": "0"}
US = {"id": "700", "username": "threadseek", "bot": True, "discriminator": "1234"}

ASKED = "1427000000000000000"
"""A message of Alice's, of 12 October 2025."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "0", "1", "100", "700", ASKED, "alice", "<@700> x", "about:7"])
    | st.text(max_size=5)
)


def garbage(*names: str) -> st.SearchStrategy[Any]:
    """JSON of any shape, its objects with fields of these names."""
    keys = st.sampled_from(names)
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=12,
    )


def odd(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """This object, any of its fields replaced by garbage or taken away."""
    names = sorted({*whole, "id", "username", "author", "content", "bot", "message", "components"})
    changes = st.dictionaries(st.sampled_from(sorted(whole)), garbage(*names), max_size=3)
    gone = st.sets(st.sampled_from(sorted(whole)), max_size=2)
    return st.builds(
        lambda c, g: {name: value for name, value in (whole | c).items() if name not in g},
        changes,
        gone,
    )


def message(**changes: Any) -> dict[str, Any]:
    """A message of Alice's that names the bot, from the gateway; None: without the field."""
    whole: dict[str, Any] = {
        "id": ASKED,
        "type": 0,
        "channel_id": CHANNEL,
        "guild_id": GUILD,
        "author": ALICE,
        "member": {"nick": "Ali", "roles": []},
        "content": "<@700> what is a fence?",
        "timestamp": "2025-10-12T15:08:29.000000+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [US],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "flags": 0,
    }
    whole |= changes
    return {name: value for name, value in whole.items() if value is not None}


def read_back(whole: dict[str, Any]) -> dict[str, Any]:
    """The same message as REST tells it: without what only the gateway knows."""
    return {name: value for name, value in whole.items() if name not in ("guild_id", "member")}


def interaction(name: str = "ask", **changes: Any) -> dict[str, Any]:
    """A command that Alice used in a channel of a server; None: without the field."""
    whole: dict[str, Any] = {
        "id": ASKED,
        "application_id": "701",
        "type": 2,
        "token": "aW50ZXJhY3Rpb24",
        "version": 1,
        "guild_id": GUILD,
        "channel_id": CHANNEL,
        "channel": {"id": CHANNEL, "type": 0, "name": "general"},
        "member": {"user": ALICE, "nick": "Ali", "roles": []},
        "context": 0,
        "authorizing_integration_owners": {"0": GUILD},
        "data": {
            "id": "500",
            "type": 1,
            "name": name,
            "options": [{"type": 3, "name": "prompt", "value": "what is a fence?"}],
        },
    }
    whole |= changes
    return {field: value for field, value in whole.items() if value is not None}
