"""Environment -> Settings. The only reader of os.environ.

A variable is taken from the environment, else from the file named by `NAME_FILE` (if it may hold
something secret), else from `.env` in the working directory. An empty value counts as unset. All
problems are reported at once, each line beginning with the variable and ending with the fix.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from bots import dotenv, extra_body, keys, proxy
from core.errors import ConfigurationError

SYSTEM_PROMPT = (
    "You are a helpful assistant in a team's chat. Answer in the language of the question, "
    "to the point, in Markdown."
)
_PREFIXES = ("DEEPSEEK_", "SLACK_", "DISCORD_", "RETENTION_")
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_VERSION = re.compile(r"/v\d+\Z")


def _address(*schemes: str, whole: bool = False) -> AfterValidator:
    """whole: no path is added behind it. The errors do not repeat the value, which may hold a
    password.
    """
    unfit = "#" if whole else "?#"

    def check(value: str) -> str:
        if any(letter.isspace() for letter in value):
            raise ValueError("leave out the white space")
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"must be an address that begins with {schemes[0]}:// and a host")
        if "@" in parts.netloc:
            raise ValueError(
                "leave out what stands before the @, and the @: a key has its own variable"
            )
        if any(letter in value for letter in unfit):
            reason = "" if whole else ": a path is added behind it"
            raise ValueError(f"leave out the {' or '.join(unfit)} and what follows{reason}")
        if not _good_port(parts):
            raise ValueError("the port behind the host must be a number from 1 to 65535")
        return value

    return AfterValidator(check)


def _good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _host(value: str) -> str:
    """An address in its shortest spelling; a name as it stands."""
    try:
        return str(ip_address(value))
    except ValueError:
        if _NAME.fullmatch(value):
            return value
        raise ValueError(
            "must be an address of this machine or its name, such as 127.0.0.1, 0.0.0.0 for all "
            "addresses, or localhost, without http://, brackets and port"
        ) from None


def _no_endpoint(value: str) -> str:
    if value.rstrip("/").endswith("/chat/completions"):
        raise ValueError("leave out /chat/completions: it is added")
    return value.rstrip("/")


def _versioned(value: str) -> str:
    """Discord's API as its calls need it: with a version and without a slash at the end."""
    parts = urlsplit(value)
    path = parts.path.rstrip("/")
    if not _VERSION.search(path):
        path = f"{path or '/api'}/v10"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _database(value: str) -> str:
    """The errors do not repeat the value, which may hold a password."""
    if value.startswith(("postgresql:", "postgres:")):
        try:
            parts = urlsplit(value)
            named = bool(parts.path.strip("/")) and "@" not in parts.path
            complete = "://" in value and named and parts.port != 0
        except ValueError:
            complete = False
        if value.partition("?")[0].count("@") > 1:  # what comes first would be taken for the user
            raise ValueError("an @ in the password must be written %40")
        if not complete:
            raise ValueError(
                "must be postgresql://user:password@host/name, with %XX for what is neither a "
                "letter nor a digit in the password"
            )
    elif not value.startswith("sqlite:///") or value == "sqlite:///" or ":memory:" in value:
        raise ValueError("must be sqlite:///FILE, such as sqlite:///threadseek.db")
    return value


Secret = Annotated[SecretStr, AfterValidator(keys.checked)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Web = Annotated[str, _address("https", "http")]
Proxy = Annotated[SecretStr, AfterValidator(proxy.checked)]


class Settings(BaseModel):
    """The whole configuration, checked. Fields are the variables in lower case; times in s."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    deepseek_api_key: Secret | None = Field(
        None, description="Key for the API. Without one the built-in offline server answers."
    )
    deepseek_base_url: Annotated[Web, AfterValidator(_no_endpoint)] = Field(
        "https://api.acedata.cloud/deepseek",
        description="Address of the API; `/chat/completions` is added to it.",
    )
    deepseek_model: str = Field(
        "deepseek-v3", min_length=1, description="Any model the address offers."
    )
    deepseek_temperature: float | None = Field(
        None, ge=0, le=2, description="0 to 2; larger values are more varied. Unset: not sent."
    )
    deepseek_max_tokens: int | None = Field(
        None, ge=1, description="Most tokens of one answer. Unset: not sent."
    )
    deepseek_n: int | None = Field(
        None, ge=1, le=128, description="Candidates an answer; the first is shown, all are stored."
    )
    deepseek_response_format: Annotated[
        Literal["text", "json_object"] | None, BeforeValidator(extra_body.format_name)
    ] = Field(None, description="`text` or `json_object`. Unset: not sent.")
    deepseek_extra_body: Annotated[
        dict[str, Any],
        BeforeValidator(extra_body.parsed),
        AfterValidator(extra_body.unreserved),
        AfterValidator(extra_body.sendable),
    ] = Field(
        default_factory=dict,
        description='More request fields as a JSON object, such as `{"top_p": 0.9}`; none that has '
        "a variable of its own.",
    )
    deepseek_stream: bool = Field(
        True, description="`false` asks for whole answers, for gateways that can't stream."
    )
    deepseek_concurrency: int = Field(32, ge=1, description="Most requests at the same time.")
    deepseek_connect_timeout: Seconds = Field(10, description="Seconds to connect.")
    deepseek_idle_timeout: Seconds = Field(
        60, description="Seconds without a single byte, keep-alives included."
    )
    deepseek_first_token_timeout: Seconds = Field(
        120, description="Seconds to the first text or reasoning."
    )
    deepseek_progress_timeout: Seconds = Field(
        60, description="Seconds between two pieces of text or reasoning."
    )
    deepseek_turn_timeout: Seconds = Field(
        600,
        description="Seconds for one answer in all, further attempts included; waiting for one of "
        "`DEEPSEEK_CONCURRENCY` places is not.",
    )
    system_prompt: str = Field(SYSTEM_PROMPT, description="What the model is told first.")
    context_tokens: int = Field(
        64_000, ge=1_000, description="The model's context, question and answer together."
    )
    slack_bot_token: Annotated[Secret, AfterValidator(keys.of_slack("xoxb-"))] | None = Field(
        None, description="Bot token (`xoxb-`)."
    )
    slack_app_token: Annotated[Secret, AfterValidator(keys.of_slack("xapp-"))] | None = Field(
        None, description="App-level token (`xapp-`): with the bot token, Socket Mode."
    )
    slack_signing_secret: Secret | None = Field(
        None,
        description="With the bot token and no app token: HTTP events on `/slack/events`.",
    )
    slack_api_url: Web = Field("https://slack.com/api/", description="Slack's Web API.")
    discord_bot_token: Secret | None = Field(
        None, description="Bot token of the Discord application."
    )
    discord_api_url: Annotated[Web, AfterValidator(_versioned)] = Field(
        "https://discord.com/api/v10",
        description="Discord's REST API; without a version at the end, `/v10` is added.",
    )
    discord_gateway_url: Annotated[str, _address("wss", "ws", whole=True)] = Field(
        "wss://gateway.discord.gg/",
        description="Discord's gateway. A query in it is replaced by our own.",
    )
    discord_shards: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Shards, which the replicas share. Unset: as many as Discord advises.",
    )
    database_url: Annotated[str, AfterValidator(_database)] = Field(
        "sqlite:///threadseek.db",
        repr=False,
        description="Where conversations are kept: `sqlite:///FILE`, or for several replicas "
        "`postgresql://user:password@host/name`.",
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after which what was asked and answered is erased from the database, 1 "
        "at least. Unset: kept until it is deleted.",
    )
    http_host: Annotated[str, AfterValidator(_host)] = Field(
        "127.0.0.1",
        description="Where the playground, `/healthz`, `/readyz`, `/metrics` and Slack's HTTP "
        "events listen. Beyond this machine the playground asks for a key.",
    )
    http_port: int = Field(8080, ge=0, le=65_535, description="0 takes a free port.")
    https_proxy: Proxy | None = Field(
        None,
        description="Proxy for all outgoing `https://` and `wss://`, such as "
        "`http://user:password@host:3128`; never for this machine. `https_proxy` is read too, and "
        "so are the next two in small letters.",
    )
    http_proxy: Proxy | None = Field(None, description="The same for `http://` and `ws://`.")
    no_proxy: str | None = Field(
        None,
        description="What is reached without a proxy, separated by commas: `*`, names (with all "
        "below them, perhaps with a port), addresses, networks such as `10.0.0.0/8`.",
    )
    lease_seconds: float = Field(
        60,
        ge=5,
        le=600,
        description="Several replicas only: after so many seconds of silence another replica goes "
        "on with what one held. The same for all of them.",
    )
    shutdown_grace: float = Field(
        20,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that running answers get to finish after SIGTERM, Ctrl-C or SIGHUP.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["console", "json"] = Field("console", description="`console` or `json`.")


SECRETS = frozenset(
    name.upper()
    for name, field in Settings.model_fields.items()
    if "Secret" in str(field.annotation)
)
"""Variables that are never shown."""

FROM_FILE = SECRETS | {"DATABASE_URL"}
"""Variables that may also be given as NAME_FILE."""

_NAMES = tuple(map(str.upper, Settings.model_fields))
_ACCEPTED = {*_NAMES, *(f"{name}_FILE" for name in FROM_FILE), *map(str.lower, proxy.NAMES)}
_ACCEPTED |= {"POSTGRES_PASSWORD"}  # docker-compose.yml reads it from the same file


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, where each given variable came from, and what looks like a slip of the pen.

    no_file: what is to be said of a `.env` that is missing or sets nothing, else empty.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    no_file: str


def load(environ: Mapping[str, str] | None = None, file: Path = Path(".env")) -> Loaded:
    """Read and check everything. Raises: ConfigurationError with all problems."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    from_file = dotenv.read(file, _ACCEPTED, problems)
    values, origins = _gather({str(file): from_file, "environment": environ}, problems)
    known = {name: values[name] for name in _NAMES if name in values}
    try:
        settings = Settings.model_validate({name.lower(): known[name] for name in known})
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors()]
    if problems:
        raise ConfigurationError(sorted(problems))
    shown = {name: origins[name] for name in known}
    no_file = "" if _ACCEPTED & from_file.keys() else dotenv.nothing(file, alone=not shown)
    return Loaded(settings, shown, tuple(_slips(values, origins, from_file)), no_file)


def wants_json(environ: Mapping[str, str] | None = None, file: Path = Path(".env")) -> bool:
    """Whether LOG_FORMAT says json, though other variables may be wrong. Never raises."""
    environ = os.environ if environ is None else environ
    from_file = dotenv.read(file, _ACCEPTED, [])
    values, _ = _gather({str(file): from_file, "environment": environ}, [])
    return values.get("LOG_FORMAT") == "json"


def wants_colors(environ: Mapping[str, str] | None = None) -> bool:
    """Whether NO_COLOR (no-color.org) is unset or empty."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR")


def _gather(
    sources: Mapping[str, Mapping[str, str]], problems: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    for origin, source in sources.items():
        given = {name: value.strip() for name, value in source.items() if value and value.strip()}
        for name in proxy.NAMES:
            if name.lower() in given:
                given.setdefault(name, given[name.lower()])
        for name in FROM_FILE:
            path = given.get(f"{name}_FILE")
            if path and name not in given and (secret := _secret(name, Path(path), problems)):
                values[name], origins[name] = secret, f"{name}_FILE"
        values.update(given)
        origins.update(dict.fromkeys(given, origin))
    return values, origins


def _secret(name: str, path: Path, problems: list[str]) -> str:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        problems.append(f"{name}_FILE: {path}: {reason}: name a readable file that holds the value")
        return ""
    if not text:
        problems.append(f"{name}_FILE: {path} is empty: put the value into it")
    return text


def _problem(detail: Any) -> str:
    name = str(detail["loc"][0]).upper()
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    message = message.replace("input should", "must").replace("a valid ", "of the type ")
    about = Settings.model_fields[name.lower()].description
    return f"{name}: {message}. ({about})"


def _slips(
    values: Mapping[str, str], origins: Mapping[str, str], from_file: Mapping[str, str]
) -> Iterator[str]:
    for name in sorted(FROM_FILE):
        if f"{name}_FILE" in values and origins.get(name) != f"{name}_FILE":
            yield f"{name}_FILE is ignored, because {name} is set: leave one out"
    for name in values:
        meant = name in from_file or name.upper().startswith(_PREFIXES)
        if name in _ACCEPTED or not meant:
            continue
        near = difflib.get_close_matches(name.upper(), _NAMES, n=1)
        shown = name
        if not name.isidentifier() or not (near or name.isupper()):
            shown = "a name in .env that is not repeated here, as it may be a secret,"
        hint = f": did you mean {near[0]}?" if near else ""
        yield f"{shown} is not a variable of Threadseek and is ignored{hint}"
