"""A DeepSeek on loopback: refuses what the real API refuses, answers by script, keeps every call.

Envelopes and shapes are those of Ace Data Cloud's reference and samples (tests/fixtures/wire).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators.deepseek_rules import refuse
from tests.emulators.deepseek_script import Call, Reply, default_pieces, error_reply

Matcher = str | Callable[[Call], bool]

__all__ = ["Call", "DeepSeekServer", "Matcher", "Reply", "error_reply"]


class DeepSeekServer:
    """Async context manager; the base address of the API is `url` while it runs.

    key: what the Authorization header must hold. context: tokens a request may have (a token is
    taken for three bytes). max_tokens: the largest max_tokens allowed. calls: every request, in
    the order in which they came.
    """

    def __init__(
        self, key: str = "test-key", context: int = 64_000, max_tokens: int = 8192
    ) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.key = key
        self.context = context
        self.max_tokens = max_tokens
        self._next: list[Reply] = []
        self._matched: list[tuple[Matcher, list[Reply]]] = []
        self._closing = False
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/chat/completions", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )

    def script(self, when: Matcher | None, *replies: Reply) -> None:
        """Say what to answer.

        when: None for the next requests, each reply once; a string for requests whose last message
        holds it, or a predicate: the replies in order, the last one for ever.
        """
        if when is None:
            self._next.extend(replies)
        else:
            self._matched.append((when, list(replies)))

    @property
    def connections(self) -> int:
        """How many TCP connections brought the calls."""
        return len({call.peer for call in self.calls})

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
        self._closing = True
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(at=time.monotonic(), headers=dict(request.headers), peer=_peer(request))
        self.calls.append(call)
        try:
            reply = await self._refusal(request, call) or self._choose(call)
            call.status = reply.status
            await asyncio.sleep(reply.first_delay)
            if reply.status != 200 or reply.body is not None:
                response: web.StreamResponse = _plain(reply, call.trace_id)
            elif reply.whole or not call.body.get("stream"):
                response = web.json_response(_completion(call, reply), headers=reply.headers)
            else:
                response = await self._stream(request, call, reply)
            call.finished = True
        except (asyncio.CancelledError, ConnectionError):
            call.hung_up = not self._closing
            raise
        return response

    async def _refusal(self, request: web.Request, call: Call) -> Reply | None:
        call.trace_id = f"trace-{len(self.calls)}"
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return error_reply(401, "invalid_token", "The token is invalid or missing.")
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return error_reply(413, "request_entity_too_large", "The request is too large.")
        try:
            call.body = json.loads(raw)
            raw.decode()
        except ValueError:
            return error_reply(400, "bad_request", "The body is not JSON.")
        refused = refuse(call.body, self.context, self.max_tokens)
        return refused and error_reply(*refused)

    def _choose(self, call: Call) -> Reply:
        for when, replies in self._matched:
            if when in call.last if isinstance(when, str) else when(call):
                return replies.pop(0) if len(replies) > 1 else replies[0]
        return self._next.pop(0) if self._next else Reply()

    async def _stream(self, request: web.Request, call: Call, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", **reply.headers}
        )
        await response.prepare(request)
        async for data in _paced(call, reply):
            for piece in _packets(data, reply.packet):
                await response.write(piece)
                call.sent += 1
        if reply.ending == "cut" and request.transport:
            request.transport.abort()
        if reply.ending == "stall":
            while True:
                await asyncio.sleep(reply.keep_alive or 0.02)
                if reply.keep_alive:
                    await response.write(b": keep-alive\n\n")
        if reply.ending == "done":
            await response.write(b"data: [DONE]\n\n")
        await asyncio.sleep(reply.last_delay)
        await response.write_eof()
        return response


def _peer(request: web.Request) -> tuple[str, int]:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return (str(peer[0]), int(peer[1])) if peer else ("", 0)


def _plain(reply: Reply, trace_id: str) -> web.Response:
    body = reply.body
    if isinstance(body, dict):
        text = json.dumps({**body, "trace_id": body.get("trace_id", trace_id)})
        return web.Response(
            status=reply.status,
            text=text,
            headers=reply.headers,
            content_type="application/json",
        )
    return web.Response(status=reply.status, body=body or b"", headers=reply.headers)


def _usage(call: Call, reply: Reply) -> dict[str, Any] | None:
    if reply.usage is not None:
        return reply.usage or None
    prompt = sum(len(message["content"].encode()) // 3 + 4 for message in call.body["messages"])
    completion = len(reply.pieces or ()) + len(reply.reasoning)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "text_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"text_tokens": 0, "reasoning_tokens": len(reply.reasoning)},
        "input_tokens": 0,
        "output_tokens": 0,
        "input_tokens_details": None,
    }


def _envelope(call: Call, kind: str, choices: list[Any], usage: Any) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.trace_id}",
        "object": kind,
        "created": 1755437709,
        "model": call.body["model"],
        "system_fingerprint": None,
        "choices": choices,
        "usage": usage,
    }


def _pieces(call: Call, reply: Reply, index: int) -> tuple[str, ...]:
    pieces = default_pieces(call) if reply.pieces is None else reply.pieces
    return (*pieces, f" [{index + 1}]") if index else pieces


def _completion(call: Call, reply: Reply) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": "".join(_pieces(call, reply, index)),
                **({"reasoning_content": "".join(reply.reasoning)} if reply.reasoning else {}),
            },
            "refs": None,
            "logprobs": None,
            "finish_reason": reply.finish,
            "service_tier": None,
        }
        for index in range(call.body.get("n") or 1)
    ]
    return _envelope(call, "chat.completion", choices, _usage(call, reply))


def _event(call: Call, index: int, delta: dict[str, Any], finish: Any, usage: Any) -> bytes:
    choice = {"delta": delta, "logprobs": None, "finish_reason": finish, "index": index}
    chunk = _envelope(call, "chat.completion.chunk", [choice], usage)
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


async def _paced(call: Call, reply: Reply) -> AsyncIterator[bytes]:
    """The events before the ending, the candidates interleaved."""
    for text in reply.reasoning:
        delta = {"role": "assistant", "content": None, "reasoning_content": text}
        yield _event(call, 0, delta, None, None)
        await asyncio.sleep(reply.delay)
    count = call.body.get("n") or 1
    columns = [_pieces(call, reply, index) for index in range(count)]
    began = time.monotonic()
    for step in range(max(len(column) for column in columns)):
        if reply.times:
            await asyncio.sleep(max(0.0, began + reply.times[step] - time.monotonic()))
        call.sent_at.append(time.time())
        for index, column in enumerate(columns):
            if step < len(column):
                delta = {"content": column[step], "role": "assistant"}
                yield _event(call, index, delta, None, None)
        await asyncio.sleep(reply.delay)
    if reply.error is not None:
        yield f"data: {json.dumps({'error': reply.error})}\n\n".encode()
    if reply.finish and reply.ending in ("done", "finish"):
        for index in range(count):
            usage = _usage(call, reply) if index == count - 1 else None
            yield _event(call, index, {"content": "", "role": "assistant"}, reply.finish, usage)


def _packets(data: bytes, size: int | None) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
