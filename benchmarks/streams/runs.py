"""Server and reader as processes of their own, pinned apart; a run is one dict of numbers."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = 16_384
RATE = 50.0


@dataclass(frozen=True)
class Case:
    """What is run: who reads how many streams, on which loop, with TLS or without."""

    kind: str
    streams: int
    uvloop: bool = False
    tls: bool = False

    def __str__(self) -> str:
        extras = [name for name, on in (("uvloop", self.uvloop), ("TLS", self.tls)) if on]
        return ", ".join([self.kind, f"{self.streams:,} streams", *extras])


@dataclass(frozen=True)
class Certificates:
    """Files: the authority's certificate; the server's key and certificate."""

    authority: str
    server: str


@contextmanager
def certificates() -> Iterator[Certificates]:
    """Fresh ones for 127.0.0.1."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        found = Certificates(f"{folder}/authority.pem", f"{folder}/server.pem")
        authority.cert_pem.write_to_path(found.authority)
        issued.private_key_and_cert_chain_pem.write_to_path(found.server)
        yield found


def run(case: Case, seconds: float, files: Certificates) -> dict[str, Any]:
    """Run one case once. Raises: RuntimeError when the reader fails."""
    allow_files()
    first, *others = sorted(os.sched_getaffinity(0))
    with serving(case, files, {others[0]} if others else {first}) as url:
        command = [case.kind, url, str(case.streams), str(seconds)]
        command += ["--uvloop"] if case.uvloop else []
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.streams.reader", *command],
            env={**os.environ, "SSL_CERT_FILE": files.authority},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {first}),
        )
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def serving(case: Case, files: Certificates, cores: set[int]) -> Iterator[str]:
    """The server; gives its URL."""
    command = [sys.executable, "-m", "benchmarks.streams.server", "--rate", str(RATE)]
    command += ["--tls", files.server] if case.tls else []
    server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        yield f"{'https' if case.tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def allow_files() -> None:
    """As many open files as may be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def here() -> bool:
    """Whether the peers are installed (`make bench-streams` does that)."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in ("openai", "httpx_sse", "litellm", "trustme"))


ROOT = Path(__file__).parents[2]
