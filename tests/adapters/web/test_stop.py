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


async def test_a_question_that_was_stored_though_it_was_refused_is_shown_before_its_answer() -> (
    None
):
    desk = Desk()
    async with page(desk.accept) as (web, _, session):
        await ask(session, {"id": "a", "text": "x"})
        (stored,) = desk.prompts
    async with page(desk.accept) as (web, _, session), session.get("/api/threads/t1") as stream:
        assert await ask(session, {"id": "a", "text": "x"}) == 202
        await web.open(stored).post("yes", "key:0")
        await web.open(stored).post("more", "key:1")
        assert [event["text"] for event in await events(stream, 3)] == ["x", "yes", "more"]


async def test_and_as_soon_as_it_is_sent_again() -> None:
    desk = Desk()
    async with page(desk.accept) as (_, _, session):
        await ask(session, {"id": "a", "text": "x"})
    async with page(desk.accept) as (_, _, session), session.get("/api/threads/t1") as stream:
        assert await ask(session, {"id": "a", "text": "x"}) == 202
        assert [event["text"] for event in await events(stream, 1)] == ["x"]
