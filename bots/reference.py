"""What is generated: from the settings the table in the documents and `.env.example`, from the
life of a turn its drawing in ARCHITECTURE.md.

`make docs` writes them; a test compares them with what this gives.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bots import proxy
from bots.settings import FROM_FILE, SECRETS, Loaded, Settings
from core.lifecycle import MEANING, OPEN, STEPS, State
from core.store.files import is_postgres
from core.store.server import Server

_GROUPS = {
    "DEEPSEEK_": "The model",
    "SYSTEM_": "The conversation",
    "SLACK_": "Slack",
    "DISCORD_": "Discord",
    "DATABASE_": "The service",
}


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for name, field in Settings.model_fields.items():
        yield name.upper(), field


def _default(field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True)
    return "" if default is None or default == {} else _written(default)


def _written(value: object) -> str:
    """A value as it is written in a variable."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | dict) else str(value)


def markdown() -> str:
    """The configuration table."""
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in _fields():
        default = _default(field)
        shown = f"`{default}`" if default else "unset"
        lines.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/configuration.md."""
    secrets = ", ".join(f"`{name}_FILE`" for name, _ in _fields() if name in FROM_FILE)
    return (
        "# Configuration\n\n"
        "Environment variables; `.env` in the working directory is read too, and the environment\n"
        "wins. An empty value counts as unset. A secret may lie in a file instead, named by\n"
        f"{secrets}.\n"
        "All problems are reported at once, by variable or by line of `.env`, with the fix.\n"
        "`threadseek config` shows what is in force and where it came from.\n\n"
        "This page is made by `make docs` from `bots/settings.py`.\n\n" + markdown()
    )


def env_example() -> str:
    """.env.example: every variable, commented out, with its default."""
    lines = ["# Copy to .env and fill in what you need; every line is optional.", ""]
    for name, field in _fields():
        for prefix, title in _GROUPS.items():
            if name.startswith(prefix) and f"# == {title} ==" not in lines:
                lines += ["", f"# == {title} =="]
        lines += [f"# {field.description}", f"#{name}={_default(field)}"]
    lines += ["", "# == docker compose --profile scale (docs/scaling.md) =="]
    lines += ["# Password of the database there; DATABASE_URL repeats it.", "#POSTGRES_PASSWORD="]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def in_force(loaded: Loaded) -> str:
    """Every variable as it stands, secrets masked, and where it came from."""
    lines = []
    for name, _ in _fields():
        value = getattr(loaded.settings, name.lower())
        shown = "unset" if value is None else _shown(name, value)
        lines.append(f"{name:<30} {shown}  ({loaded.origins.get(name, 'default')})")
    return "\n".join(lines)


def _shown(name: str, value: object) -> str:
    """A value without what is secret in it."""
    if name in proxy.NAMES and isinstance(value, SecretStr):
        return proxy.shown(value)
    if name in SECRETS:
        return "********"
    if name == "DATABASE_URL" and is_postgres(str(value)):
        return Server.of(str(value)).place
    return _written(value)


def given(loaded: Loaded) -> str:
    """One line: which variables were given and where, secrets masked; which file sets nothing."""
    by_origin: dict[str, list[str]] = {}
    for name, origin in loaded.origins.items():
        mask = "=********" if name in SECRETS else ""
        by_origin.setdefault(origin, []).append(name + mask)
    parts = [f"{', '.join(names)} from {origin}" for origin, names in by_origin.items()]
    rest = "; ".join([*parts, "the rest by default"]) if parts else "all by default"
    return f"{rest} ({loaded.no_file})" if loaded.no_file else rest


TABLE = ("<!-- configuration -->\n", "<!-- /configuration -->\n")
"""Marks in the README between which the table stands."""


LIFE = ("<!-- lifecycle -->\n", "<!-- /lifecycle -->\n")
"""Marks in ARCHITECTURE.md between which the life of a turn is drawn."""


def with_table(readme: str) -> str:
    """The README with the configuration table renewed."""
    return _between(readme, TABLE, markdown())


def with_life(architecture: str) -> str:
    """ARCHITECTURE.md with the life of a turn renewed."""
    return _between(architecture, LIFE, life())


def _between(text: str, marks: tuple[str, str], content: str) -> str:
    """The text with the content between the marks. Raises: ValueError without a mark."""
    before, rest = text.split(marks[0])
    _, after = rest.split(marks[1])
    return before + marks[0] + content + marks[1] + after


def life() -> str:
    """The life of a turn as a Mermaid diagram, and its states as a table."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.RECEIVED}: committed"]
    for before, steps in STEPS.items():
        lines += [f"    {before} --> {after}: {cause}" for after, cause in steps.items()]
    lines += [f"    {state} --> [*]" for state in State if state not in OPEN]
    lines += ["```", "", "| state | what it says |", "|---|---|"]
    lines += [f"| `{state}` | {MEANING[state]} |" for state in State]
    return "\n".join(lines) + "\n"


def write(root: Path) -> None:
    """Write every generated document below the project's root."""
    (root / "docs" / "configuration.md").write_text(page())
    (root / ".env.example").write_text(env_example())
    readme = root / "README.md"
    readme.write_text(with_table(readme.read_text()))
    architecture = root / "ARCHITECTURE.md"
    architecture.write_text(with_life(architecture.read_text()))
