"""Every sentence that Threadseek itself says in a chat, and what the operator is told. Pure.

A person gets one calm sentence and a reference; the operator's log gets the cause and the fix.
"""

import math

from core.delivery.characters import visible
from core.errors import Clock, CompletionError, Failure
from core.turns.retrying import LONGEST_RETRY_AFTER, MOST_ATTEMPTS
from core.types import Outcome, Verdict

HELP = (
    "Hi! I bring DeepSeek into this chat. Mention me with a question and I answer in the thread; "
    "there you can go on without mentioning me, and I remember what was said. "
    "In a direct message, just write. I can read text, but not attachments."
)
ONLY_FILES = (
    "I can't open attachments, only read text. Paste the part that matters and I'll look at it."
)
LATE = "I was away when this was asked. Ask me again if it still matters."
CROWDED = "I have ten questions waiting in this thread. Please ask again when some are answered."
INTERRUPTED = "_I am being restarted; this answer goes on as soon as I am back._"
LEFT_OUT = "_This conversation goes back far: I no longer see its beginning._"
GIVEN_UP = (
    "I was interrupted {times} times while answering this and stopped trying. Please ask again."
)
INTERNAL = "Something went wrong on my side while I was answering this."

_LENGTH = "_The answer reached its length limit. Say “continue” to get the rest._"
_FILTERED = "_The provider's content filter stopped this answer._"
_STOPPED = "_The answer was stopped here._"
_THOUGHT_ONLY = (
    "_The model used all its room for thinking and had none left to answer. "
    "Try a simpler question, or ask for a short answer._"
)

_BROKEN = "DeepSeek can't be reached right now. Please try again in a moment."
_REFUSED = "DeepSeek refused this request."
_SLOW = "DeepSeek took too long for this answer. Please try again, or ask for less at once."
_OPERATOR = "DeepSeek does not accept me at the moment; whoever runs me has to look at it."
_PARAMETER = _REFUSED + " If it happens again, whoever runs me has to look at it."
_CAUSES = {
    _OPERATOR: "DeepSeek does not accept the request.",
    _PARAMETER: _REFUSED,
    _BROKEN: "DeepSeek can't be reached.",
}
"""What the operator is told in place of a sentence that would send them to themselves."""

_SENTENCES: dict[Failure, str] = {
    Failure.TRANSPORT: _BROKEN,
    Failure.STALLED: "DeepSeek stopped sending. Please try again in a moment.",
    Failure.TRUNCATED: "DeepSeek's answer broke off. Please try again in a moment.",
    Failure.BUSY: "DeepSeek is busy right now. Please try again in a moment.",
    Failure.SERVER: "DeepSeek has a problem on its side. Please try again in a moment.",
    Failure.EMPTY: "DeepSeek finished without an answer. Please try to ask differently.",
    Failure.TOO_LONG: "This is too long for the model. Please shorten it or start a new thread.",
    Failure.TOO_BIG: "This is too long for the model. Please shorten it or start a new thread.",
    Failure.MAX_TOKENS: _OPERATOR,
    Failure.NO_ROOM: _OPERATOR,
    Failure.SHAPE: _REFUSED + " A new thread may help.",
    Failure.MODERATED: "DeepSeek's content filter refused this. Please ask differently.",
    Failure.REFUSED: _PARAMETER,
    Failure.CREDENTIALS: _OPERATOR,
    Failure.BALANCE: _OPERATOR,
    Failure.CONFIGURATION: _OPERATOR,
}

_FIXES: dict[Failure, str] = {
    Failure.TRANSPORT: "check the network and DEEPSEEK_BASE_URL, and HTTPS_PROXY if it is set",
    Failure.STALLED: "if it goes on, ask the provider",
    Failure.BUSY: "if it goes on, lower DEEPSEEK_CONCURRENCY or ask the provider for more",
    Failure.MAX_TOKENS: "lower DEEPSEEK_MAX_TOKENS",
    Failure.NO_ROOM: "lower DEEPSEEK_MAX_TOKENS to leave the question room in the context",
    Failure.TOO_LONG: "lower CONTEXT_TOKENS to the model's context",
    Failure.TOO_BIG: "lower CONTEXT_TOKENS, or raise the limit of what stands before the API",
    Failure.CREDENTIALS: "check DEEPSEEK_API_KEY (wrong, expired or not allowed for this address)",
    Failure.BALANCE: "top up the account behind DEEPSEEK_API_KEY",
    Failure.CONFIGURATION: "check DEEPSEEK_MODEL, DEEPSEEK_BASE_URL and the key's service",
    Failure.REFUSED: "check DEEPSEEK_EXTRA_BODY, DEEPSEEK_RESPONSE_FORMAT and the other DEEPSEEK_*",
}
_PARAMETERS = ("token_mismatched", "api_not_implemented")  # codes for missing or invalid ones
_ANY_SETTING = (
    "check DEEPSEEK_MODEL, DEEPSEEK_BASE_URL, the key's service and what is sent along "
    "(DEEPSEEK_N, DEEPSEEK_RESPONSE_FORMAT, DEEPSEEK_EXTRA_BODY and the like)"
)
_BARRED = "write the proxy's user and password into HTTPS_PROXY"
_LATER = 90  # minutes that nobody counts
_MORE_TIME = "if it goes on, raise {} or ask the provider"
_LESS_TEXT = "if answers may be that long, raise {}; if not, set DEEPSEEK_MAX_TOKENS"


def fix(error: CompletionError) -> str:
    """What the operator can do; empty where nothing can be done."""
    if error.clock is not None:
        template = _LESS_TEXT if error.clock is Clock.TURN else _MORE_TIME
        return template.format(error.clock)
    if error.failure is Failure.CONFIGURATION and error.code.lower() in _PARAMETERS:
        return _ANY_SETTING
    return _BARRED if error.status == 407 else _FIXES.get(error.failure, "")


def too_long(tokens: int, room: int) -> str:
    """The refusal of a prompt that doesn't fit by itself. Both in tokens, by our estimate."""
    share = max(2, round(tokens / room + 0.5))
    return (
        f"This message is too long for me: about {tokens:,} tokens, and I can take {room:,}. "
        f"Please split it into {share} parts or shorten it."
    )


def reference_of(turn: int) -> str:
    """Our own reference of a turn, by its id: where the API gave none, or failed in nothing."""
    return f"turn-{turn}"


def referenced(sentence: str, reference: str) -> str:
    """The sentence with the reference that also stands in the operator's log."""
    return f"{sentence} (trace {reference})" if reference else sentence


def given_up(reference: str) -> str:
    """What is said when the work on a prompt broke off too often. reference: our own."""
    return referenced(GIVEN_UP.format(times=MOST_ATTEMPTS), reference)


def apology(error: CompletionError, reference: str, *, operator: bool = False) -> str:
    """The one sentence for a failed turn. reference: trace id of the API, or our own.

    operator: whoever reads it also runs the service, so it says what can be done.
    """
    sentence = _SLOW if error.clock is Clock.TURN else _SENTENCES[error.failure]
    wait = error.retry_after or 0.0
    if wait > LONGEST_RETRY_AFTER:
        sentence = sentence.replace("in a moment", _when(wait))
    advice = fix(error)
    if operator and advice:
        sentence = f"{_CAUSES.get(sentence, sentence)} {advice[0].upper()}{advice[1:]}."
    return referenced(sentence, error.trace_id or reference)


def _when(seconds: float) -> str:
    """When so many seconds will be over."""
    minutes = math.ceil(seconds / 60)
    if minutes > _LATER:
        return "later"
    return "in a minute" if minutes == 1 else f"in {minutes} minutes"


def beneath(
    outcome: Outcome, error: CompletionError | None, reference: str, *, operator: bool = False
) -> str:
    """The line under (or instead of) the text of an outcome; empty for a complete answer."""
    if error is not None:
        sentence = apology(error, reference, operator=operator)
        return f"_{sentence}_" if visible(outcome.text) else sentence
    match outcome.verdict:
        case Verdict.LENGTH:
            return _LENGTH
        case Verdict.FILTERED:
            return _FILTERED
        case Verdict.STOPPED:
            return _STOPPED
        case Verdict.EMPTY:
            return _THOUGHT_ONLY
        case _:
            return ""
