"""A peer that sends without end, faster than it is read, takes neither the memory nor the loop."""

import asyncio
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

import pytest
import uvloop

from core.deepseek import gathering
from core.deepseek.client import DeepSeek, Options
from core.deepseek.reading import MAX_WHOLE
from core.errors import Failure
from tests.contract.deepseek.raw import collect
from tests.contract.deepseek.scripted import COMMENT, HEAD, word


class Hose:
    """A server in a thread of its own that says the same again and again to one client."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        self._listening.close()

    def _serve(self) -> None:
        peer, _ = self._listening.accept()
        with peer, suppress(OSError):
            peer.recv(64 * 1024)
            peer.sendall(HEAD + word("a"))
            time.sleep(0.05)
            for _ in range(1000):  # an end all the same: a defect shall not fill the machine
                peer.sendall(self._said)


WORDS = word("word " * 20) * 1000
COMMENTS = COMMENT * 8000


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("said", "failure"), [(WORDS, Failure.SERVER), (COMMENTS, Failure.STALLED)]
)
def test_a_stream_without_end_is_read_in_turns_and_broken_off(
    loop: Any, said: bytes, failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [0]
    fetch, take = gathering.Gathering._fetch, gathering.Gathering._take

    def counted(each: gathering.Gathering) -> bool:
        taken.append(0)
        return fetch(each)

    def weighed(each: gathering.Gathering, data: bytes) -> None:
        taken[-1] += len(data)
        take(each, data)

    monkeypatch.setattr(gathering.Gathering, "_fetch", counted)
    monkeypatch.setattr(gathering.Gathering, "_take", weighed)

    async def scenario() -> None:
        given = Options(base_url=hose.url, progress_timeout=0.5, idle_timeout=5.0)
        async with DeepSeek(given) as client:
            chunks, error = await collect(client)
        assert error is not None
        assert error.failure is failure
        assert sum(len(chunk.text) for chunk in chunks) < 2 * MAX_WHOLE

    with Hose(said) as hose, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
    assert 0 < max(taken) <= gathering.MOST
    assert failure is Failure.STALLED or len(taken) > 50, "it goes on being gathered"


def test_what_goes_on_coming_when_the_time_is_up_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[gathering.Gathering] = []
    draw = gathering.Gathering.draw

    def counted(each: gathering.Gathering) -> bool:
        drawn.append(each)
        return draw(each)

    monkeypatch.setattr(gathering.Gathering, "draw", counted)
    monkeypatch.setattr(gathering, "TICK", 3600.0)

    async def scenario() -> None:
        given = Options(base_url=hose.url, progress_timeout=0.5, idle_timeout=5.0)
        async with DeepSeek(given) as client:
            _, error = await collect(client)
        assert error is not None
        assert error.failure is Failure.STALLED

    with Hose(COMMENTS) as hose:
        asyncio.run(scenario())
    assert len(drawn) == 1
