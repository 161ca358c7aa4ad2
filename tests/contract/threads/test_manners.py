"""Nobody is pinged, no link is fetched or hidden, whatever the model writes."""

import pytest

from tests.contract.threads.stage import Stage, Trait
from tests.contract.threads.stages import on

ADDRESS = "https://evil.example/log?in=1"
LINKS = {
    "masked": f"See [your bank]({ADDRESS}).",
    "titled": f'See [your bank]({ADDRESS} "My bank").',
    "image": f"![your bank]({ADDRESS})",
    "reference": f"See [your bank][1].\n\n[1]: {ADDRESS}",
    "in angle brackets": f"See [your bank](<{ADDRESS}>).",
    "automatic": f"See <{ADDRESS}>.",
    "platform": f"See <{ADDRESS}|your bank>.",
    "bare": f"See {ADDRESS} now.",
}


@on(Trait.LASTS)
async def test_nobody_is_pinged(stage: Stage) -> None:
    for token in stage.tokens:
        thread = stage.open(await stage.ask())
        part = await thread.post(f"hey {token} you", "1:0")
        await thread.edit(part, "calm")
        await thread.edit(part, f"hey {token} you, {token}\n```\n{token}\n```")
        inline = await thread.post(f"`{token}`\n> {token}\n**{token}**", "1:1")
        await thread.edit(inline, f"{token}")
    assert not stage.harm()


@pytest.mark.parametrize("link", LINKS)
@on(Trait.LASTS)
async def test_links_show_their_address_and_no_preview(stage: Stage, link: str) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post(LINKS[link], "1:0")
    assert ADDRESS in (await stage.shown(prompt))[0]
    await thread.edit(part, f"So: {LINKS[link]}")
    assert ADDRESS in (await stage.shown(prompt))[0]
    assert not stage.harm()


@on(Trait.LASTS)
async def test_no_code_block_is_left_open(stage: Stage) -> None:
    thread = stage.open(await stage.ask())
    part = await thread.post("a\n```py\nx = 1\n```\nb", "1:0")
    await thread.edit(part, "a\n~~~~\n```\nx\n~~~~\n- list\n  ```\n  y\n  ```\nend")
    assert not stage.harm()
    assert len(stage.states(part)) == 2
