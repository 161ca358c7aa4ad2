"""Which messages of ours are parts of nothing."""

from core.lifecycle import State
from core.store.inbox import MOST_OPEN
from core.types import PartId
from tests.core.store.making import THREAD, Store, prompt

ASKED = [PartId(f"C1:{number}") for number in (4, 1, 2, 3)]
OTHER = "slack:T1:C1:200"


async def test_parts_of_any_turn_are_known_and_others_are_told_in_their_order(store: Store) -> None:
    await store.turns.accept(prompt(1))
    await store.turns.accept(prompt(2, OTHER))
    first, second = await store.claim(), await store.claim()
    await store.turns.posted(first, 0, PartId("C1:1"))
    await store.turns.announce(first, 1)
    await store.turns.posted(second, 0, PartId("C1:2"))
    assert await store.turns.strangers(first, ASKED, exclusive=False) == ["C1:4", "C1:3"]
    assert await store.turns.strangers(first, [], exclusive=False) == []


async def test_while_another_turn_of_the_place_misses_one_nobody_knows_whose_they_are(
    store: Store,
) -> None:
    """Only who is refused for a crowd is answered beside somebody else."""
    for number in range(MOST_OPEN + 2):
        await store.turns.accept(prompt(number))
    await store.turns.accept(prompt(99, OTHER))
    claims = [await store.claim() for _ in range(4)]
    main, aside, next_, other = claims
    assert [claim.crowded for claim in claims] == [False, True, True, False]
    assert main.prompt.thread == THREAD
    await store.turns.announce(other, 0)
    for mine in (main, aside, other):
        assert await store.turns.strangers(mine, ASKED, exclusive=False) == ASKED, (
            "the other place is another"
        )
    await store.turns.announce(aside, 0)
    assert await store.turns.strangers(aside, ASKED, exclusive=False) == ASKED
    for mine in (main, next_):
        assert await store.turns.strangers(mine, ASKED, exclusive=False) == []
    alone = await store.turns.strangers(main, ASKED, exclusive=True)
    assert alone == ASKED, "where refusals have none of them"
    await store.turns.posted(aside, 0, PartId("C1:4"))
    assert await store.turns.strangers(main, ASKED, exclusive=False) == ASKED[1:]
    await store.turns.announce(main, 0)
    assert await store.turns.strangers(aside, ASKED, exclusive=False) == []
    await store.turns.finish(main, State.CANCELLED)
    assert await store.turns.strangers(aside, ASKED, exclusive=False) == ASKED[1:]


async def test_one_that_its_key_finds_makes_no_doubt(store: Store) -> None:
    for number in range(MOST_OPEN + 1):
        await store.turns.accept(prompt(number))
    main, aside = await store.claim(), await store.claim()
    await store.turns.announce(main, 0, named=True)
    assert await store.turns.strangers(aside, ASKED, exclusive=False) == ASKED
    await store.turns.announce(main, 0, named=False)
    await store.turns.announce(main, 0, named=True)
    assert await store.turns.strangers(aside, ASKED, exclusive=False) == [], "of the second try"


async def test_a_try_without_a_name_may_land_though_another_one_was_posted(store: Store) -> None:
    for number in range(MOST_OPEN + 1):
        await store.turns.accept(prompt(number))
    main, aside = await store.claim(), await store.claim()
    await store.turns.announce(main, 0)
    await store.turns.posted(main, 0, PartId("C1:1"), only=True)
    found = await store.turns.strangers(aside, ASKED, exclusive=True)
    assert found == [ASKED[0], *ASKED[2:]], "it was the only try"
    await store.turns.announce(main, 1)
    await store.turns.announce(main, 1, named=True)
    await store.turns.posted(main, 1, PartId("C1:2"))
    assert await store.turns.strangers(aside, ASKED, exclusive=True) == []
    found = await store.turns.strangers(aside, ASKED, exclusive=False)
    assert found == [ASKED[0], ASKED[3]], "others are found by their keys as well"
    await store.turns.finish(main, State.CANCELLED)
    assert await store.turns.strangers(aside, ASKED, exclusive=True) == [ASKED[0], ASKED[3]]
