"""The stand-in's Web API over HTTP: body, token, budget, scope, method, answer, record."""

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from tests.emulators import slack_chat, slack_reading, slack_streams
from tests.emulators.faults import Faults
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Budget, Limits
from tests.emulators.slack_methods import Args, Json, Method, Refusal, World, must_have
from tests.emulators.slack_record import Call

METHODS: dict[str, Method] = {
    **slack_chat.METHODS,
    **slack_reading.METHODS,
    **slack_streams.METHODS,
}


class WebApi:
    """`POST` or `GET /api/<method>`. limits None: no budget at all."""

    def __init__(self, world: World, limits: Limits | None, faults: Faults[Fault]) -> None:
        self.world, self.limits, self.faults = world, limits, faults
        if limits and world.app.distributed:
            for method in ("conversations.replies", "conversations.history"):
                limits.budgets[method] = Budget(1, 1)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call. A method that was reached takes effect even when its client has gone."""
        name = request.match_info["method"]
        try:
            values, token = await _read(request)
        except ValueError:
            return self._json({"ok": False, "error": "invalid_json"})
        fault = self.faults.take(name)
        await self.faults.delay(name, fault)
        response = self._planned(fault)
        effect = response is None
        if response is None:
            response, effect = self._answer(name, values, token)
        await asyncio.sleep(fault.reply_delay)
        cut = bool(fault.cut) and request.transport is not None
        self._keep(name, values, response, cut, effect)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    def _planned(self, fault: Fault) -> web.Response | None:
        if fault.status or fault.cut == "before":
            return web.Response(status=fault.status or 500, text="upstream trouble")
        if fault.retry_after:
            return _too_many(fault.retry_after)
        return self._json({"ok": False, "error": fault.error}) if fault.error else None

    def _answer(self, name: str, values: Json, token: str) -> tuple[web.Response, bool]:
        method = METHODS.get(name)
        if method is None:
            return self._json({"ok": False, "error": "unknown_method", "req_method": name}), False
        try:
            self._authorise(method, token)
            if self.limits:
                where = values.get("channel") or values.get("channel_id") or ""
                if wait := self.limits.refuse(name, str(where)):
                    return _too_many(wait), False
            must_have(self.world, *method.scopes)
            answer = method.run(self.world, Args(values))
        except Refusal as refusal:
            body = {"ok": False, "error": refusal.error, **refusal.more}
            return self._json(body, method), False
        return self._json({"ok": True, **answer}, method), True

    def _authorise(self, method: Method, token: str) -> None:
        app = self.world.app
        if not token:
            raise Refusal("not_authed")
        if token not in (app.bot_token, app.app_token):
            raise Refusal("invalid_auth")
        if token != (app.app_token if method.token == "app" else app.bot_token):
            raise Refusal("not_allowed_token_type")
        if token == app.bot_token and app.token_error:
            raise Refusal(app.token_error)

    def _json(self, body: Json, method: Method | None = None) -> web.Response:
        headers = {"x-oauth-scopes": ",".join(sorted(self.world.app.scopes))}
        if method and method.scopes:
            headers["x-accepted-oauth-scopes"] = ",".join(method.scopes)
        return web.json_response(body, headers=headers)

    def _keep(self, name: str, args: Json, response: web.Response, cut: bool, effect: bool) -> None:
        body = response.text or ""
        is_json = response.content_type == "application/json"
        answer: Json | str = json.loads(body) if is_json else body
        status = 0 if cut else response.status
        self.world.record.called(Call(time.time(), name, args, status, answer, effect))


def _too_many(seconds: int) -> web.Response:
    body = {"ok": False, "error": "ratelimited"}
    return web.json_response(body, status=429, headers={"Retry-After": str(seconds)})


async def _read(request: web.Request) -> tuple[dict[str, Any], str]:
    """Arguments and token. A token counts in the header or a form body, nowhere else.

    A JSON body counts only for methods that take one: Slack ignores it otherwise.
    """
    values: dict[str, Any] = dict(request.query)
    values.pop("token", None)
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if request.content_type == "application/json":
        method = METHODS.get(request.match_info["method"])
        body = await request.json() if request.can_read_body else {}
        if method is None or method.json:
            values |= {name: value for name, value in body.items() if name != "token"}
    elif request.method == "POST":
        form = await request.post()
        token = token or str(form.get("token", ""))
        values |= {name: value for name, value in form.items() if name != "token"}
    return values, token
