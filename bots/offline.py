"""A local server that speaks the DeepSeek wire format, so that Threadseek runs without a key.

It is a far end like the real one: the same client reads it over a real socket. Its answers say what
it is. It listens on 127.0.0.1 only, on a port the system chooses, and keeps nothing.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

MODEL = "offline"
"""The model's name in every answer, whatever was asked for."""

FIRST = """\
Hello! This is Threadseek's **built-in offline server**, not DeepSeek: DeepSeek was not asked. \
What you see is real, though: this answer streams through the same client, the same store and the \
same thread as one from DeepSeek would.

For real answers, whoever runs Threadseek gives it a key (`DEEPSEEK_API_KEY`) and starts it again.

You asked: {last}

Ask something else in this thread and I will still know that."""

LATER = """\
Still the **offline server**, and the thread remembers:

- so far in this thread you asked {count} questions,
- the first was {first},
- the latest is {last}.

When whoever runs Threadseek has set `DEEPSEEK_API_KEY`, DeepSeek itself will answer here."""

_TOKENS = re.compile(r"\s*\S{1,12}")
_QUOTED = 120  # characters of a question that are repeated


class OfflineServer:
    """The server, as an async context manager; its address is `url` while it runs.

    rate: tokens a second at which an answer is typed out; an answer asked for whole comes at once.
    """

    def __init__(self, rate: float = 40.0) -> None:
        self.url = ""
        self._gap = 1.0 / rate
        app = web.Application()
        app.router.add_post("/chat/completions", self._complete)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = json.loads(await request.read())
            questions = _questions(asked)
        except (ValueError, TypeError, KeyError):
            return _refusal("The body must be JSON with a list of messages, one from the user.")
        answers = list(_answers(asked, questions))
        if not asked.get("stream"):
            return web.json_response(_whole(answers, len(questions)))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for event in _events(answers, len(questions)):
                await response.write(b"data: " + event + b"\n\n")
                await asyncio.sleep(self._gap / len(answers))
            await response.write_eof()
        except ConnectionError:
            pass  # the reader has seen enough
        return response


def _questions(asked: dict[str, Any]) -> list[str]:
    """What the user said, oldest first. Raises: ValueError, TypeError, KeyError."""
    questions = [
        str(message["content"]) for message in asked["messages"] if message["role"] == "user"
    ]
    if not questions:
        raise ValueError("no question")
    return questions


def _quote(text: str) -> str:
    """A question on one line, cut short, so that it is words and not Markdown."""
    line = " ".join(re.sub(r"[`*_<>|~\[\]]", " ", text).split())
    return f"“{line[:_QUOTED]}{'…' if len(line) > _QUOTED else ''}”"


def _answers(asked: dict[str, Any], questions: list[str]) -> Iterator[tuple[list[str], str]]:
    """(tokens, finish reason) of each candidate."""
    form = LATER if len(questions) > 1 else FIRST
    text = form.format(count=len(questions), first=_quote(questions[0]), last=_quote(questions[-1]))
    wish = asked.get("response_format")
    if isinstance(wish, dict) and wish.get("type") == "json_object":
        found = {"server": MODEL, "questions": len(questions), "latest": questions[-1][:_QUOTED]}
        text = json.dumps(found, ensure_ascii=True, indent=2)
    count = asked.get("n")
    count = min(count, 128) if isinstance(count, int) and count > 0 else 1
    most = asked.get("max_tokens")
    for _ in range(count):
        tokens = _TOKENS.findall(text)
        if isinstance(most, int) and 0 < most < len(tokens):
            yield tokens[:most], "length"
        else:
            yield tokens, "stop"


def _usage(answers: list[tuple[list[str], str]], prompt: int) -> dict[str, int]:
    completion = sum(len(tokens) for tokens, _ in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _envelope(kind: str, choices: list[dict[str, Any]], usage: Any) -> dict[str, Any]:
    return {
        "id": "offline",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
        "choices": choices,
        "usage": usage,
    }


def _whole(answers: list[tuple[list[str], str]], prompt: int) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": "".join(tokens)},
            "finish_reason": finish,
        }
        for index, (tokens, finish) in enumerate(answers)
    ]
    return _envelope("chat.completion", choices, _usage(answers, prompt))


def _events(answers: list[tuple[list[str], str]], prompt: int) -> Iterator[bytes]:
    """The data of a stream's events: the candidates interleaved, usage on the last chunk."""
    longest = max(len(tokens) for tokens, _ in answers)
    for step in range(longest + 1):
        for index, (tokens, finish) in enumerate(answers):
            over = step == longest
            usage = _usage(answers, prompt) if over and index == len(answers) - 1 else None
            choice = {
                "index": index,
                "delta": {"role": "assistant", "content": "" if over else tokens[step]},
                "finish_reason": finish if over else None,
            }
            yield msgspec.json.encode(_envelope("chat.completion.chunk", [choice], usage))
    yield b"[DONE]"


def _refusal(message: str) -> web.Response:
    error = {"code": "bad_request", "message": message}
    return web.json_response({"success": False, "error": error, "trace_id": "offline"}, status=400)
