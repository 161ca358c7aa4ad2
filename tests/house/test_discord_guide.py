"""docs/discord.md says what the adapter asks for, offers and logs; nothing less, nothing more."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from adapters.discord.commands import COMMANDS
from adapters.discord.gateway import intents
from adapters.discord.invite import PERMISSIONS, invitation
from bots.settings import Settings

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "discord.md").read_text()
ADAPTER = "\n".join(path.read_text() for path in (ROOT / "adapters" / "discord").glob("*.py"))


def rows(heading: str) -> Mapping[str, list[str]]:
    """The table whose first column is called so: first cell -> the other cells."""
    _, found, rest = GUIDE.partition(f"\n| {heading} |")
    assert found, heading
    table = rest.split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in table]
    return {first.strip("`"): others for first, *others in cells}


def test_the_table_of_permissions_is_the_invitations() -> None:
    bits = {name: cells[0] for name, cells in rows("permission").items()}
    assert bits == {name: f"`1 << {value.bit_length() - 1}`" for name, value in PERMISSIONS.items()}
    assert all(len(cells) == 3 and all(cells) for cells in rows("permission").values())


def test_the_link_in_the_guide_is_the_one_that_is_printed() -> None:
    (link,) = re.findall(r"https://discord\.com/oauth2/\S+", GUIDE)
    assert link == invitation("YOUR_APPLICATION_ID")
    (asked,) = parse_qs(urlsplit(link).query)["permissions"]
    named = (int(cells[0].strip("`").rpartition(" ")[2]) for cells in rows("permission").values())
    assert int(asked) == sum(1 << bit for bit in named)


def test_nothing_counts_permissions_beside_the_table() -> None:
    assert not re.search(r"\b(four|five|six|seven)\s+permissions", GUIDE)


def test_the_table_of_intents_is_what_the_gateway_is_asked_for() -> None:
    asked = {name for name, wanted in intents(content=True) if wanted}
    documented = {name.upper().replace("DM_", "DIRECT_") for name in asked}
    assert set(rows("intent")) == documented
    optional = asked - {name for name, wanted in intents(content=False) if wanted}
    assert optional == {"message_content"}


def test_every_command_stands_in_the_guide() -> None:
    names = {("/" if command["type"] == 1 else "") + command["name"] for command in COMMANDS}
    assert set(rows("command")) == names


def test_every_line_of_the_log_that_tells_of_trouble_has_its_row() -> None:
    logged = set(re.findall(r'log\.\w+\(\s*"(discord\.\w+)"', ADAPTER))
    trouble = set(re.findall(r'log\.(?:warning|error)\(\s*"(discord\.\w+)"', ADAPTER))
    explained = {name for name in rows("what you see") if name.startswith("discord.")}
    assert trouble - explained == set()
    assert explained - logged == set()


def test_every_variable_of_discord_stands_in_the_guide() -> None:
    variables = {name.upper() for name in Settings.model_fields if name.startswith("discord_")}
    assert set(rows("variable")) == variables
