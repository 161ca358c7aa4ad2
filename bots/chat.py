"""`threadseek chat`: a conversation in the terminal, over the same core and store."""

import asyncio
import re
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass

from adapters.console.app import ConsolePlatform, platform_of
from adapters.console.lines import Lines, Typing, whole
from bots.settings import Settings
from bots.wiring import Core, core_of, engine_of
from core.delivery.characters import visible
from core.delivery.sanitise import clean
from core.errors import ConfigurationError, StoreError
from core.ports import Threads
from core.store.files import InUse
from core.turns.engine import Engine
from core.types import Outcome, Verdict

_NAME = re.compile(r"[\w.-]{1,64}")
_GOOD = (Verdict.COMPLETE, Verdict.LENGTH)
_PROMPT = "you> "
_WAITING = (
    "Waiting for the end of standard input, which belongs to the question "
    "(</dev/null leaves it out)."
)
_SILENCE = 3.0  # seconds until that is told
_STOPS = 1.0  # seconds after which an answer that should stop is stuck
_LOOK = 5.0  # seconds between two looks at the store while an answer comes
_PATIENCE = 60.0  # seconds: an answer that can't be stored is tried again for 48


@dataclass(frozen=True)
class _Terminal:
    """One person's, with an engine of its own."""

    core: Core
    engine: Engine
    console: ConsolePlatform


async def conversation(settings: Settings, name: str, question: str | None) -> int:
    """As `_conversation`; a signal that ends the command, or its terminal, is a Ctrl-C."""
    loop, talking = asyncio.get_running_loop(), asyncio.current_task()
    ended: list[int] = []

    def end(number: int) -> None:
        ended.append(number)
        if talking:
            talking.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            loop.add_signal_handler(number, end, number)
    try:
        return await _conversation(settings, name, question)
    except asyncio.CancelledError:
        if not ended:
            raise
        return 128 + ended[0]


async def _conversation(settings: Settings, name: str, question: str | None) -> int:
    """One question or a whole conversation; returns the exit code: 1 when there is no answer to the
    question, or, where nobody sees them come, to one of the conversation's.

    name: the stored conversation to continue; empty begins a new one.
    Raises: StoreError, ConfigurationError; OSError, when the output takes nothing (any more).
    """
    if name and not _NAME.fullmatch(name):
        raise ConfigurationError(["--thread: use up to 64 letters, digits, dots, dashes"])
    if question is not None and not question.strip():
        raise ConfigurationError(["the question is empty: write it after `threadseek chat`"])
    question = question and await _with_input(question)
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
        terminal = _Terminal(core, engine, console)
        if question is not None:
            return await _answer_once(terminal, question)
        _greet(core, name)
        try:
            all_answered = await _talk(terminal)
        finally:
            print(f"\nTo go on later: threadseek chat --thread {name}")  # noqa: T201
    return 0 if all_answered or sys.stdin.isatty() else 1


async def _with_input(question: str) -> str:
    """The question, and beneath it what is piped in."""
    if sys.stdin.isatty():
        return question
    reading = asyncio.create_task(whole(sys.stdin))
    if not (await asyncio.wait({reading}, timeout=_SILENCE))[0]:
        print(_WAITING, file=sys.stderr, flush=True)  # noqa: T201
    text = await reading
    return f"{question}\n\n{text.rstrip()}" if visible(text) else question


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


async def _answer_once(terminal: _Terminal, question: str) -> int:
    live = sys.stdout.isatty()
    outcome = await _asked(terminal, question, live=live)
    if not live:
        _print_plain(outcome)
    return 0 if outcome.verdict in _GOOD else 1


async def _asked(terminal: _Terminal, question: str, *, live: bool, stops: bool = False) -> Outcome:
    """The outcome of a question; of one that the store failed for, what has come, and why it is no
    more. Who leaves (Ctrl-C, or by closing what we write to) takes the question back: the next one
    shall not wait for an answer that nobody wants. live: on a terminal, where it stands already.
    stops: Ctrl-C ends the answer alone, a second one the command.
    """
    console = terminal.console
    stopped = asyncio.Event()
    asking = asyncio.create_task(console.ask(question, live=live))
    failing = asyncio.create_task(_failing(terminal.core))
    stopping = asyncio.create_task(stopped.wait())
    try:
        with _ctrl_c(stopped) if stops else nullcontext():
            await asyncio.wait({asking, failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and console.interrupt():
                await asyncio.wait({asking, failing}, timeout=_STOPS)
        if asking.done():
            outcome = asking.result()
        elif stopping.done():
            outcome = await _taken_back(terminal)
        else:
            notice = f"This answer can't be stored. {failing.result()}"
            outcome = Outcome(verdict=Verdict.ERROR, text=console.text, notice=notice)
            if live:
                print(f"\n{notice}", end="", file=sys.stderr)  # noqa: T201
    except (asyncio.CancelledError, OSError):
        with suppress(StoreError):
            await terminal.engine.withdraw(console.asked)
        raise
    finally:
        tasks = asking, failing, stopping
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if live:
        print()  # noqa: T201
    return outcome


@contextmanager
def _ctrl_c(stopped: asyncio.Event) -> Iterator[None]:
    """Inside, the first Ctrl-C sets that and does nothing else."""
    loop, ends = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, ends)
        loop.call_soon_threadsafe(stopped.set)

    if ends is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, ends)


async def _taken_back(terminal: _Terminal) -> Outcome:
    """What becomes of a question that is stopped before it is answered, or when that is stuck."""
    terminal.console.leave()
    await terminal.engine.withdraw(terminal.console.asked)
    begin = "\n" if terminal.console.text else "\r\x1b[K"  # what it says in place of an answer
    print(f"{begin}The question was taken back.", end="", file=sys.stderr)  # noqa: T201
    return Outcome(verdict=Verdict.STOPPED)


async def _failing(core: Core) -> str:
    """What is wrong with the store, once it has been for so long that nothing is tried again."""
    clock = asyncio.get_running_loop().time
    worked = clock()
    while True:
        await asyncio.sleep(_LOOK)
        try:
            await core.database.probe()
            worked = clock()
        except StoreError as error:
            if clock() >= worked + _PATIENCE:
                return str(error)


def _print_plain(outcome: Outcome) -> None:
    """For a pipe: the answer alone on standard output, what there is to say about it beside.

    A terminal may stand at its other end, which no control character may steer either.
    """
    if visible(outcome.text):
        print(clean(outcome.text))  # noqa: T201
    if outcome.notice:
        print(clean(outcome.notice).strip("_"), file=sys.stderr)  # noqa: T201


def _greet(core: Core, name: str) -> None:
    print(f"Answers come from {core.source}.")  # noqa: T201
    print(f"This conversation is called {name}. Ctrl-C stops an answer, Ctrl-D ends it.")  # noqa: T201


async def _talk(terminal: _Terminal) -> bool:
    """A whole conversation, whose lines are questions; whether all of them were answered."""
    person, edited = sys.stdin.isatty(), sys.stdin.isatty() and sys.stdout.isatty()
    lines = Typing(_PROMPT) if edited else Lines(sys.stdin)
    before = "\n" if edited else f"\n{_PROMPT}" if person else ""
    all_answered = True
    while True:
        print(before, end="", flush=True)  # noqa: T201
        line = await lines.next()
        if line is None:
            return all_answered
        if line.strip():
            outcome = await _asked(terminal, line.strip(), live=True, stops=person)
            all_answered = all_answered and outcome.verdict in _GOOD
