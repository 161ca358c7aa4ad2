"""What lies beside the code: locks, container files, generated documents, the Makefile."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bots import reference
from bots.settings import load
from core.lifecycle import MEANING, OPEN, STEPS, State

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
BENCH = "requirements-bench.lock"


@pytest.mark.parametrize("name", [*LOCKS, BENCH])
def test_locks_pin_everything_by_hash_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    pins = re.findall(
        r"^([a-z0-9.-]+(?:\[[a-z,]+\])?==\S+)[^\n]*\\\n((?:    --hash=\S+.*\n)+)", text, re.M
    )
    names = re.findall(r"^[a-zA-Z0-9]", text, re.M)
    assert len(pins) == len(names) > 20


@pytest.mark.parametrize("names", [LOCKS, (LOCKS[1], BENCH)])
def test_a_larger_lock_agrees_with_the_smaller(names: tuple[str, str]) -> None:
    smaller, larger = (
        dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.M))
        for name in names
    )
    assert {name: larger.get(name) for name in smaller} == smaller


def test_every_dependency_has_its_line_in_the_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    decisions = (ROOT / "docs" / "decisions.md").read_text()
    for requirement in project["dependencies"]:
        name = re.split(r"[\[>=<]", requirement)[0]
        assert re.search(rf"^\|[^|]*\b{re.escape(name)}\b", decisions, re.M), name


def test_the_project_is_an_application_that_is_never_uploaded() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "Private :: Do Not Upload" in settings["project"]["classifiers"]
    assert settings["project"]["scripts"] == {"threadseek": "bots.cli:main"}


def test_the_compose_file_is_valid_by_its_schema(tmp_path: Path) -> None:
    def check(path: Path) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
        ]
        return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)

    result = check(ROOT / "docker-compose.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("read_only:", "readonly:"))
    assert check(broken).returncode == 1


def interpolated(**variables: str) -> Any:
    """The compose file as compose reads it: `${NAME:-default}` filled in."""
    text = (ROOT / "docker-compose.yml").read_text()
    filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: variables.get(m[1]) or m[2], text)
    assert "${" not in filled
    return yaml.safe_load(filled)


def test_compose_alone_is_one_service_one_volume_and_an_optional_env_file() -> None:
    content = interpolated()
    plain = [name for name, each in content["services"].items() if "profiles" not in each]
    assert plain == ["threadseek"]
    service = content["services"]["threadseek"]
    assert "working_dir" not in service, "it is the image's"
    assert service["depends_on"]["postgres"]["required"] is False
    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert service["volumes"] == ["data:/data"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"] == ["CMD", "threadseek", "health"]


def test_the_file_lies_in_the_volume_and_a_database_may_be_named_in_a_file(tmp_path: Path) -> None:
    image = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^(WORKDIR|VOLUME) /data$", image, re.M) == ["WORKDIR", "VOLUME"]
    assert "DATABASE_URL=" not in image
    environment = interpolated()["services"]["threadseek"]["environment"]
    assert load(environment, tmp_path / ".env").settings.database_url == "sqlite:///threadseek.db"
    secret = tmp_path / "secret"
    secret.write_text("postgresql://threadseek:pw@postgres/threadseek")
    given = load({**environment, "DATABASE_URL_FILE": str(secret)}, tmp_path / ".env")
    assert given.origins["DATABASE_URL"] == "DATABASE_URL_FILE"


def test_the_replicas_of_the_profile_differ_in_nothing_but_name_and_port() -> None:
    url = "postgresql://threadseek:pw@postgres/threadseek"
    services = interpolated(DATABASE_URL=url, POSTGRES_PASSWORD="pw")["services"]
    one, two, database = (services[n] for n in ("threadseek", "threadseek-2", "postgres"))
    assert {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)} == {
        "ports",
        "profiles",
    }
    assert two["profiles"] == database["profiles"] == ["scale"]
    assert one["ports"] != two["ports"]
    assert one["environment"]["DATABASE_URL"] == two["environment"]["DATABASE_URL"] == url
    assert "ports" not in database
    assert database["environment"]["POSTGRES_PASSWORD"] == "pw"
    told = {name: database["environment"][f"POSTGRES_{name}"] for name in ("USER", "DB")}
    guide = (ROOT / "docs" / "scaling.md").read_text()
    assert f"postgresql://{told['USER']}:<the same>@postgres/{told['DB']}" in guide


def test_compose_itself_reads_the_file() -> None:
    docker = shutil.which("docker")
    known = docker and subprocess.run([docker, "compose", "version"], capture_output=True)
    if not docker or not known or known.returncode:
        pytest.skip("there is no docker compose here")
    command = [docker, "compose", "--profile", "scale", "config", "--services"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) == {"threadseek", "threadseek-2", "postgres"}


def test_the_image_can_talk_to_postgresql() -> None:
    assert "-r requirements.lock" in (ROOT / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["optional-dependencies"]["postgres"]:
        name = re.split(r"[\[>=<]", requirement)[0]
        assert re.search(rf"^{name}==", (ROOT / "requirements.lock").read_text(), re.M)


def test_the_image_is_multi_stage_non_root_and_checks_itself() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.M)) == 2
    user = re.findall(r"^USER (\S+)", text, re.M)
    assert user
    assert user[-1] not in ("root", "0")
    assert 'CMD ["threadseek", "health"]' in text
    assert "--require-hashes" in text
    for package in ("bots", "core", "adapters", "migrations"):
        assert f"!{package}" in (ROOT / ".dockerignore").read_text()


def test_generated_documents_are_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference.page(), "run `make docs`"
    assert (ROOT / ".env.example").read_text() == reference.env_example(), "run `make docs`"
    readme = (ROOT / "README.md").read_text()
    assert reference.markdown() in readme
    assert reference.with_table(readme) == readme, "run `make docs`"
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    assert reference.with_life(architecture) == architecture, "run `make docs`"


def test_every_state_and_every_step_is_drawn() -> None:
    drawn = reference.life()
    for before, steps in STEPS.items():
        assert f"| `{before}` | {MEANING[before]} |" in drawn
        for after, cause in steps.items():
            assert f"{before} --> {after}: {cause}\n" in drawn
    assert drawn.count(" --> ") == 1 + sum(map(len, STEPS.values())) + len(set(State) - OPEN)


def test_make_alone_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"setup", "run", "test", "check"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}\s+\S", shown, re.M), target


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_names_in_the_architecture_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = re.findall(r"`((?:core|bots|adapters|migrations|tests|docs)/[\w/.*-]*)`", text)
    assert len(paths) > 10
    for path in paths:
        assert list(ROOT.glob(path.rstrip("/"))), path


@pytest.mark.parametrize("folder", ["bots", "core", "adapters"])
def test_no_group_is_possessive(folder: str) -> None:
    """Python before 3.11.5 matches `(...)*+` wrongly when something in the group backtracks
    (github.com/python/cpython/issues/106052); `(?>(...)*)` says the same."""
    groups = re.compile(r"\)[*+?]\+")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if groups.search(line)
    ]
    assert not found
