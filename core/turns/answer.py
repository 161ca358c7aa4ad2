"""What came of one attempt: chunks in, outcome out. Pure."""

from core.delivery.characters import visible
from core.delivery.sanitise import clean
from core.errors import CompletionError, Failure
from core.types import Chunk, Outcome, Usage, Verdict


class Answer:
    """Collects the chunks of one attempt, by choice; the first choice is the one shown.

    stopped: a person wanted no more of it.
    """

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._reasoning: list[str] = []
        self._finish: dict[int, str] = {}
        self._usage: Usage | None = None
        self._model = ""
        self._response_id = ""
        self.stopped = False
        self.chunks = 0

    def add(self, chunk: Chunk) -> str:
        """Take one chunk; returns the text that it adds to what is shown."""
        self.chunks += 1
        if chunk.text:
            self._texts.setdefault(chunk.index, []).append(chunk.text)
        if chunk.reasoning and chunk.index == 0:
            self._reasoning.append(chunk.reasoning)
        if chunk.finish_reason:
            self._finish[chunk.index] = chunk.finish_reason
        self._usage = chunk.usage or self._usage
        self._model = chunk.model or self._model
        self._response_id = chunk.response_id or self._response_id
        return chunk.text if chunk.index == 0 else ""

    def stop(self, unseen: int) -> None:
        """A person wants no more of it; the last `unseen` characters, as they are shown, nobody
        saw. One that failed, or was filtered, has failed all the same.
        """
        if unseen:
            text = clean(self.text)
            self._texts[0] = [text[: max(0, len(text) - unseen)].rstrip()]
        self.stopped = True

    @property
    def text(self) -> str:
        """The first choice as far as it came."""
        return "".join(self._texts.get(0, ()))

    @property
    def blank(self) -> CompletionError | None:
        """The failure that a finished stream without a visible word is; None when it is none.

        A filter's silence and a length limit that reasoning used up would only repeat themselves.
        """
        if visible(self.text) or self._finish.get(0) in ("content_filter", "length"):
            return None
        message = "the stream finished without a visible word"
        return CompletionError(Failure.EMPTY, message, own=True)

    def outcome(self, error: CompletionError | None = None) -> Outcome:
        """The outcome without its notice. error: what ended the attempt, None for a clean end."""
        candidates = ["".join(parts) for _, parts in sorted(self._texts.items())]
        return Outcome(
            verdict=self._verdict(error),
            text=self.text,
            candidates=tuple(candidates) if len(candidates) > 1 else (),
            reasoning="".join(self._reasoning),
            usage=self._usage,
            finish_reason=self._finish.get(0),
            model=self._model,
            response_id=self._response_id,
            trace_id=error.trace_id if error else "",
        )

    def _verdict(self, error: CompletionError | None) -> Verdict:
        if error is not None:
            if error.failure is Failure.EMPTY:
                return Verdict.EMPTY
            if error.failure is Failure.MODERATED:
                return Verdict.FILTERED
            return Verdict.TRUNCATED if visible(self.text) else Verdict.ERROR
        match self._finish.get(0):
            case "content_filter":
                return Verdict.FILTERED
            case _ if self.stopped:
                return Verdict.STOPPED
            case "length":
                return Verdict.LENGTH if visible(self.text) else Verdict.EMPTY
            case _:
                return Verdict.COMPLETE


class Frame:
    """How the text of an answer is shown: as it is, or, for JSON, inside a code block.

    The stored answer stays bare; framing the same text again gives the same Markdown. JSON can't
    hold a line that begins with a fence, so the block never closes early.

    end: the Markdown that ended it; empty while it is open.
    """

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._open = False
        self._last = ""
        self.end = ""

    def add(self, text: str) -> str:
        """The Markdown to show for the next piece of text."""
        prefix = ""
        if self._json and visible(text):
            self._json = False
            self._open = text.lstrip()[0] in "{["
            prefix = "```json\n" if self._open else ""
            text = text.lstrip() if self._open else text
        self._last = text or self._last
        return prefix + text

    def close(self) -> str:
        """The Markdown that ends the frame."""
        if self._open:
            self.end = "```" if self._last.endswith("\n") else "\n```"
        return self.end
