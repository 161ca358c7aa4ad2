"""What every REST route of the stand-in shares: its request, its context, the checks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord_app import App
from tests.emulators.discord_limits import Limits
from tests.emulators.discord_record import Record
from tests.emulators.discord_rules import (
    BOT,
    SEND,
    SEND_IN_THREADS,
    VIEW,
    Json,
    Refusal,
    invalid,
)
from tests.emulators.discord_world import Channel, Message, World


@dataclass
class Context:
    """What a route works on. Times in seconds.

    ack_timeout: until an interaction must be answered. token_life: of its token. nonce_life: how
    long a nonce is remembered; nonces_readable: later reads tell them. tells_answers:
    a callback names the message it made, where that is asked for. nonces: (when, message id)
    by nonce. gateway, interactions (by token): what the routes of those need, put there by them.
    """

    app: App
    world: World
    record: Record
    limits: Limits | None
    ack_timeout: float
    token_life: float
    nonce_life: float
    nonces_readable: bool = False
    tells_answers: bool = True
    gateway: Any = None
    interactions: dict[str, Any] = field(default_factory=dict)
    nonces: dict[str, tuple[float, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One call. names: the parameters of the path. files: (name, bytes) of a form."""

    context: Context
    names: dict[str, str]
    body: Any
    query: dict[str, str]
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def world(self) -> World:
        """The world."""
        return self.context.world

    def form(self) -> Json:
        """The body as an object. Raises Refusal."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise Refusal(50109)
        return self.body


@dataclass(frozen=True)
class Route:
    """One entry of the API: `run` answers with JSON, or None for 204.

    auth: needs the bot token. counted: towards the global limit. bucket: the name of its rate
    limit when it isn't its own.
    """

    run: Callable[[Request], Any]
    auth: bool = True
    counted: bool = True
    bucket: str = ""
    status: int = 200


def reach(request: Request, *needs: int, name: str = "channel") -> Channel:
    """The channel of a call, which the bot can see and has these permissions in.

    Raises Refusal: 10003 unknown, 50001 not visible, 50013 a permission is missing.
    """
    channel = request.world.channels.get(request.names[name])
    if channel is None:
        raise Refusal(10003)
    may = request.world.permissions(BOT, channel)
    if not may & VIEW:
        raise Refusal(50001)
    if any(not may & need for need in needs):
        raise Refusal(50013)
    return channel


def sending(channel: Channel) -> int:
    """The permission that writing here takes."""
    return SEND_IN_THREADS if channel.is_thread else SEND


def may(request: Request, channel: Channel, need: int) -> bool:
    """Whether the bot has a permission."""
    return bool(request.world.permissions(BOT, channel) & need)


def find(request: Request, channel: Channel, id_: str = "") -> Message:
    """A message that the bot token reaches: no ephemeral one. Raises Refusal 10008."""
    message = request.world.messages.get(id_ or request.names["message"])
    if message is None or message.channel != channel.id or message.asker:
        raise Refusal(10008)
    return message


def snowflake(value: Any, path: str) -> str:
    """An id, given as text or number. Raises Refusal."""
    text = str(value)
    if not text.isdigit() or len(text) > 20:
        raise invalid(path, "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
    return text
