"""What the page knows of an answer on its way, and how it ends one."""

from core.types import Outcome, Verdict
from tests.adapters.web.test_web import JSON, Desk, ask, events, page, shown


async def test_who_comes_while_an_answer_is_on_its_way_is_told_and_can_stop_it() -> None:
    desk = Desk()
    async with page(desk.accept, stopped=frozenset({"web:t1:a"})) as (web, _, session):
        await ask(session, {"id": "a", "text": "x"})
        thread = web.open(desk.prompts[0])
        await thread.status("is thinking…")
        assert (await shown(session, 2))[1]["text"] == "is thinking…"
        await thread.post("Hel", "key:0")
        status = (await shown(session, 3))[2]
        assert (status["who"], status["text"], status["of"]) == ("status", "", "you-a")
        for body, answer in (({"id": "a"}, (202, True)), ({"id": "b"}, (202, False))):
            async with session.post("/api/threads/t1/stop", json=body) as response:
                assert (response.status, (await response.json())["stopped"]) == answer
        for bad in ('{"id": "a b"}', "[]"):
            async with session.post("/api/threads/t1/stop", data=bad, headers=JSON) as response:
                assert response.status == 400
        hostile = {"Origin": "https://evil.example"}
        async with session.post("/api/threads/t1/stop", json={}, headers=hostile) as response:
            assert response.status == 403
        await thread.concluded(Outcome(verdict=Verdict.COMPLETE))
        async with session.get("/api/threads/t1") as stream:
            await events(stream, 2)
            await ask(session, {"id": "b", "text": "y"})
            assert (await events(stream, 1))[0]["text"] == "y", "nothing is going on any more"
