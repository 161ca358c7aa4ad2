"""What of a conversation is sent: the system prompt, a suffix of the history, the new prompt. Pure.

The API caches prefixes, so what was sent once is sent again byte for byte: the system prompt never
changes, labels depend only on what came before, and the beginning is left out in big steps (down
to half the room when it is full), not a turn a turn.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.delivery.characters import visible
from core.turns.tokens import MESSAGE_OVERHEAD, estimate
from core.types import Conversation, Memory, Message, Prompt, Remembered, Role

_SURROGATE = re.compile("[\ud800-\udfff]")
_LEARN_FROM = 200  # tokens: a shorter request says more about the template than about the text
_RATIO_RANGE = (0.5, 3.0)


@dataclass(frozen=True, slots=True)
class Room:
    """Tokens there are. context: the model's, both ways. answer: kept free for the answer."""

    context: int
    answer: int

    @property
    def request(self) -> int:
        """Tokens that a request may have; never under a quarter of the context."""
        return max(self.context - self.answer, self.context // 4)


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent. estimate: tokens by our own count, uncorrected.

    trimmed: more of the beginning was left out than before. fits: False when even the prompt
    alone is too long, and nothing should be sent.
    """

    messages: tuple[Message, ...]
    memory: Memory
    estimate: int
    trimmed: bool
    fits: bool


def clean(text: str) -> str:
    """The text with lone surrogates replaced: the API answers them with 400."""
    return _SURROGATE.sub("\ufffd", text)


def labelled(entries: Iterable[Remembered], memory: Memory) -> tuple[list[Remembered], Memory]:
    """The entries with speakers told apart inside the content, and the memory after them.

    The first speaker needs no label; from the second speaker on everybody gets one. So a label
    depends only on what came before it and never changes.
    """
    result = []
    for entry in entries:
        content = clean(entry.content)
        if entry.role is Role.USER and entry.author:
            speaker = memory.speaker or entry.author
            several = memory.several or entry.author != speaker
            memory = replace(memory, speaker=speaker, several=several)
            if several:
                content = f"{entry.author}: {content}"
        result.append(replace(entry, content=content))
    return result, memory


def entry_of(prompt: Prompt) -> Remembered:
    """The history entry of a prompt, unlabelled."""
    return Remembered(Role.USER, with_files(prompt.text, prompt.files), author=prompt.author)


def with_files(text: str, files: Sequence[str]) -> str:
    """A text, and the names of what is attached to it, since that is not sent."""
    names = ", ".join(files)
    return f"{text}\n\n[Attached, but not readable for you: {names}]" if names else text


def merged(system: str, entries: Iterable[Remembered]) -> tuple[Message, ...]:
    """System prompt and entries as messages; neighbours of one role become one, blanks go.

    What we said before the first question is quoted in it: some models refuse a conversation that
    begins with an answer.
    """
    messages = [Message(Role.SYSTEM, clean(system))] if visible(system) else []
    asked = False
    for entry in entries:
        if not visible(entry.content):
            continue
        asked = asked or entry.role is Role.USER
        role, content = (entry.role, entry.content) if asked else (Role.USER, _quoted(entry))
        if messages and messages[-1].role is role:
            messages[-1] = Message(role, f"{messages[-1].content}\n\n{content}")
        else:
            messages.append(Message(role, content))
    return tuple(messages)


def _quoted(answer: Remembered) -> str:
    quote = "\n".join(f"> {line}" for line in answer.content.splitlines())
    return f"You said before:\n{quote}"


def _cost(content: str) -> int:
    return estimate(content) + MESSAGE_OVERHEAD


def build(
    system: str, conversation: Conversation, entry: Remembered, room: Room, *, full: bool = False
) -> Window:
    """The window for a labelled prompt entry.

    full: the API said that the last window was too long, whatever our count says: trim now.
    """
    memory = conversation.memory
    fixed = _cost(system) + _cost(entry.content)
    costs = [_cost(message.content) for message in conversation.messages]
    allowed = room.request / memory.ratio
    total = fixed + sum(costs)
    drop = 0
    if total > allowed or full:
        goal = (min(allowed, total) if full else allowed) / 2
        while drop < len(costs) and (total > goal or _orphan(conversation.messages, drop)):
            total -= costs[drop]
            drop += 1
    kept = conversation.messages[drop:]
    return Window(
        messages=merged(system, [*kept, entry]),
        memory=replace(memory, start=memory.start + drop),
        estimate=total,
        trimmed=drop > 0,
        fits=fixed <= allowed and not (full and drop == 0),
    )


def _orphan(messages: Sequence[Remembered], index: int) -> bool:
    """Whether a window beginning here would begin with an answer to a question left out."""
    return messages[index].role is Role.ASSISTANT


def corrected(memory: Memory, estimated: int, counted: int) -> Memory:
    """The memory with its ratio moved half way to what the API counted for the last request."""
    if counted <= 0 or estimated < _LEARN_FROM:
        return memory
    low, high = _RATIO_RANGE
    ratio = min(max((memory.ratio + counted / estimated) / 2, low), high)
    return replace(memory, ratio=ratio)


def flattened(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation as one user message: a shape no model refuses.

    For models that reject the order or kind of history messages; used once, after such a refusal.
    """
    system = tuple(message for message in messages[:-1] if message.role is Role.SYSTEM)
    earlier = [message for message in messages[:-1] if message.role is not Role.SYSTEM]
    if not earlier:
        return tuple(messages)
    lines = [f"[{message.role.value}] {message.content}" for message in earlier]
    transcript = "\n\n".join(lines)
    content = f"Our conversation so far:\n\n{transcript}\n\n[user, now] {messages[-1].content}"
    return (*system, Message(Role.USER, content))
