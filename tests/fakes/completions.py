"""A `Completions` that answers by script, on whatever clock the loop has."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from core.errors import CompletionError
from core.types import Chunk, CompletionRequest, Usage

Step = Chunk | float | CompletionError | Exception


def words(*texts: str, pause: float = 0.1, finish: str = "stop", tokens: int = 0) -> list[Step]:
    """A whole answer: the texts with pauses between, a finish, the end."""
    steps: list[Step] = []
    for text in texts:
        steps += [pause, Chunk(text=text)]
    usage = Usage(prompt_tokens=tokens, completion_tokens=len(texts), total_tokens=tokens)
    return [*steps, Chunk(finish_reason=finish, usage=usage), Chunk(done=True)]


class ScriptedCompletions:
    """Plays one script a request, in order, the last one again and again.

    A step is a chunk to yield, seconds to wait, or an error to raise. requests: all that came.
    queue: seconds that each waits for a place. closed: how many streams were left before their end.
    """

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self._scripts = list(scripts)
        self.requests: list[CompletionRequest] = []
        self.queue = 0.0
        self.open = 0
        self.most_open = 0
        self.closed = 0

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Play the next script."""
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.requests.append(request)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        ended = False
        try:
            if self.queue:
                await asyncio.sleep(self.queue)
            request.begun()
            for number, step in enumerate(script, 1):
                ended = number == len(script) or isinstance(step, Exception)
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.open -= 1
            self.closed += not ended
