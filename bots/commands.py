"""What the `threadseek` command does.

Each command imports what it needs when it runs: `--help` shall not wait for what answers prompts.
"""

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from core.errors import ConfigurationError, ThreadseekError

if TYPE_CHECKING:
    import asyncio

    from bots.settings import Loaded

app = typer.Typer(
    help="DeepSeek in Slack, in Discord, in the browser and in the terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(_named().lower())
        raise typer.Exit


def _named() -> str:
    from importlib.metadata import version

    return f"Threadseek {version('threadseek')}"


@app.callback()
def _root(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


@app.command()
def run() -> None:
    """Start every platform that has its tokens, and the playground."""
    loaded = _settings()
    from bots.loops import factory  # behind the settings: structlog is loaded there (bots.logs)

    json = loaded.settings.log_format == "json"
    raise typer.Exit(_guarded(lambda: _serve(loaded), factory(), json=json))


@app.command()
def chat(
    question: Annotated[
        str | None,
        typer.Argument(help="Answer this, with what is piped in, once on standard output."),
    ] = None,
    thread: Annotated[
        str, typer.Option("--thread", "-t", help="Continue the stored conversation of this name.")
    ] = "",
) -> None:
    """Talk in the terminal, or answer one question."""
    loaded = _settings(quiet=True)
    _warn(loaded)
    from bots.chat import conversation

    raise typer.Exit(_guarded(lambda: conversation(loaded.settings, thread, question)))


@app.command()
def config(
    docs: Annotated[
        bool, typer.Option("--docs", help="Write the generated documents instead.", hidden=True)
    ] = False,
) -> None:
    """Show the configuration in force and where each value came from."""
    from bots import reference

    if docs:
        reference.write(Path())
    else:
        loaded = _settings(quiet=True)
        typer.echo(reference.in_force(loaded))
        _warn(loaded)


@app.command()
def health() -> None:
    """Exit 0 if the service on this machine is alive (for container health checks)."""
    import asyncio

    from bots.server import fetch_health

    settings = _settings(quiet=True).settings
    alive = asyncio.run(fetch_health(settings.http_host, settings.http_port, within=4.0))
    typer.echo("alive" if alive else f"no answer on port {settings.http_port}", err=not alive)
    raise typer.Exit(0 if alive else 1)


def _settings(*, quiet: bool = False) -> "Loaded":
    """Configuration and logging. quiet: a person's terminal, so logs come only when asked for."""
    from bots import logs, proxy
    from bots.settings import SECRETS, load, wants_colors, wants_json

    try:
        loaded = load()
    except ConfigurationError as error:
        if not quiet and wants_json():
            logs.configure("error", "json")
            _refuse_in_json(error)
        _refuse("The configuration needs a change:", error)
    settings = loaded.settings
    values = [getattr(settings, name.lower()) for name in SECRETS]
    secrets = [value.get_secret_value() for value in values if value]
    for given in (settings.https_proxy, settings.http_proxy):
        secrets += proxy.passwords(given) if given else []
    silent = quiet and "LOG_LEVEL" not in loaded.origins
    level = "critical" if silent else settings.log_level
    logs.configure(level, settings.log_format, secrets, colors=wants_colors())
    return loaded


def _warn(loaded: "Loaded", *, err: bool = True) -> None:
    for warning in loaded.warnings:
        typer.echo(f"Warning        {warning}", err=err)


def _guarded(
    work: Callable[[], Coroutine[Any, Any, int]],
    loop: "Callable[[], asyncio.AbstractEventLoop] | None" = None,
    *,
    json: bool = False,
) -> int:
    """Run it; whatever we expect to go wrong becomes sentences, or events, and exit code 1."""
    import asyncio
    import signal

    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which asyncio replaces
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work())
    except KeyboardInterrupt:
        return 130
    except ThreadseekError as error:
        if json:
            _refuse_in_json(error)
        _refuse("Threadseek can't start:" if not sys.stdout.isatty() else "", error)


def _refuse(title: str, error: ThreadseekError) -> NoReturn:
    if title:
        typer.echo(title, err=True)
    for line in _problems(error):
        typer.echo(f"  {line}" if title else line, err=True)
    raise typer.Exit(1)


def _refuse_in_json(error: ThreadseekError) -> NoReturn:
    """The same for a log collector."""
    import structlog

    for line in _problems(error):
        structlog.get_logger().error("service.not_started", problem=line)
    raise typer.Exit(1)


def _problems(error: ThreadseekError) -> Sequence[str]:
    return error.problems if isinstance(error, ConfigurationError) else (str(error),)


async def _serve(loaded: "Loaded") -> int:
    import asyncio
    import signal

    from bots.wiring import service

    say = _banner(loaded)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()

    def stop_now(number: int) -> None:
        if stop.is_set():
            if number != signal.SIGHUP:  # the second one means now; what is open goes on later
                os._exit(128 + number)
            return
        stop.set()
        if starting:
            starting.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_now, number)
    # A terminal that closes says so, perhaps twice, unless we were told to outlive it (nohup).
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop_now, signal.SIGHUP)
    try:
        async with service(loaded, say):
            starting = None
            say("Ready. Ctrl-C stops.")
            await stop.wait()
            with suppress(OSError):  # the terminal may be gone
                say("Stopping: running answers get a moment to end. Ctrl-C again stops at once.")
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        with suppress(OSError):
            say("Stopped before all was ready.")
    return 0


def _banner(loaded: "Loaded") -> Callable[[str], None]:
    """Where the first lines go: to a person as they are, to a log collector as events."""
    if loaded.settings.log_format == "json":
        from bots import logs

        log = logs.lines()
        for warning in loaded.warnings:
            log.warning("service", line=warning)
        return lambda line: log.info("service", line=" ".join(line.split()))
    from bots import reference

    typer.echo(_named())
    typer.echo(f"Configuration  {reference.given(loaded)}")
    _warn(loaded, err=False)
    return lambda line: typer.echo(line)
