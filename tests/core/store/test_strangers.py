"""Which messages of ours are parts of nothing."""

from core.types import PartId
from tests.core.store.making import Store, prompt


async def test_parts_of_any_turn_are_known_and_others_are_told_in_their_order(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2, "slack:T1:C1:200"))
    first, second = await store.claim(), await store.claim()
    await store.turns.posted(first, 0, PartId("C1:1"))
    await store.turns.announce(first, 1)
    await store.turns.posted(second, 0, PartId("C1:2"))
    asked = [PartId(f"C1:{number}") for number in (4, 1, 2, 3)]
    assert await store.turns.strangers(asked) == ["C1:4", "C1:3"]
    assert await store.turns.strangers([]) == []
