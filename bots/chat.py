"""`threadseek chat`: a conversation in the terminal, over the same core and store."""

import asyncio
import re
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.console.app import ConsolePlatform, platform_of
from bots.settings import Settings
from bots.wiring import Core, core_of, engine_of
from core.errors import ConfigurationError
from core.ports import Threads
from core.store.files import InUse
from core.types import Outcome, Verdict

_NAME = re.compile(r"[\w.-]{1,64}")
_GOOD = (Verdict.COMPLETE, Verdict.LENGTH)


async def conversation(settings: Settings, name: str, question: str | None) -> int:
    """One question or a whole conversation; returns the exit code.

    name: the stored conversation to continue; empty begins a new one.
    Raises: StoreError, ConfigurationError.
    """
    if name and not _NAME.fullmatch(name):
        raise ConfigurationError(["--thread: use up to 64 letters, digits, dots, dashes"])
    if question is not None and not question.strip():
        raise ConfigurationError(["the question is empty: write it after `threadseek chat`"])
    new = not name
    name = name or secrets.token_hex(4)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(core_of(settings, terminal=True))
        if not new:
            await stack.enter_async_context(_only_terminal(core, name))
        platforms: dict[str, Threads] = {}
        engine = await stack.enter_async_context(engine_of(core, platforms))
        console = ConsolePlatform(name, engine.accept, sys.stdout, sys.stderr)
        platforms[platform_of(name)] = console
        if question is not None:
            return await _answer_once(console, question)
        _greet(core, name)
        await _talk(console)
        print(f"\nTo go on later: threadseek chat --thread {name}")  # noqa: T201
    return 0


@asynccontextmanager
async def _only_terminal(core: Core, name: str) -> AsyncGenerator[None, None]:
    """Two terminals on one conversation would take each other's answers."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(core.database.sole(name))
        except InUse as error:
            problem = f"--thread: the conversation {name} is open in another terminal"
            raise ConfigurationError([problem]) from error
        yield


async def _answer_once(console: ConsolePlatform, question: str) -> int:
    live = sys.stdout.isatty()
    outcome = await console.ask(question, live=live)
    if live:
        print()  # noqa: T201
    else:
        _print_plain(outcome)
    return 0 if outcome.verdict in _GOOD else 1


def _print_plain(outcome: Outcome) -> None:
    """For a pipe: the answer alone on standard output, what there is to say about it beside."""
    if outcome.text:
        print(outcome.text)  # noqa: T201
    if outcome.notice:
        print(outcome.notice.strip("_"), file=sys.stderr)  # noqa: T201


def _greet(core: Core, name: str) -> None:
    print(f"Answers come from {core.source}.")  # noqa: T201
    print(f"This conversation is called {name}. An empty line or Ctrl-D ends it.")  # noqa: T201


async def _talk(console: ConsolePlatform) -> None:
    while line := (await asyncio.to_thread(_read_line)).strip():
        await console.ask(line, live=True)
        print()  # noqa: T201


def _read_line() -> str:
    try:
        return input("\nyou> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return ""
