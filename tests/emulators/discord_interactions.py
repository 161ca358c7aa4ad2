"""People use the app: commands, commands on messages, buttons, forms.

What Discord would not let a person do raises ValueError. INTERACTION_CREATE has Discord's shape
(interactions/receiving-and-responding) and reaches one session.
"""

import uuid
from typing import Any

from tests.emulators import discord_command_rules as rules
from tests.emulators import discord_wire as wire
from tests.emulators.discord_forms import filled
from tests.emulators.discord_interaction import Interaction, Kind
from tests.emulators.discord_model import Channel, Guild, Role
from tests.emulators.discord_routes import Context
from tests.emulators.discord_rules import (
    BOT,
    DM,
    IN_DIRECT,
    TEXT,
    USE_COMMANDS,
    USUAL,
    Json,
)

GROUP = 3
ATTACHMENT_LIMIT = 10_485_760


class Interactions:
    """What people do with the app. Channels and people by id or name."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.all: list[Interaction] = []

    # Places without the bot, for people who installed the app for themselves.

    def install(self, who: str) -> None:
        """Somebody installs the app for themselves."""
        self._context.app.users.add(self._context.world.user(who).id)

    def group(self, *who: str) -> str:
        """A group conversation of people, without the bot; returns the channel's id."""
        world = self._context.world
        members = {world.user(name).id for name in who}
        channel = Channel(world.snowflake(), GROUP, "Group", members=members)
        world.channels[channel.id] = channel
        return channel.id

    def other_guild(self, *who: str) -> str:
        """A guild of people, without the bot; returns the id of its one text channel."""
        world = self._context.world
        members = [world.user(name).id for name in who]
        guild = Guild(world.snowflake(), "Elsewhere", members[0])
        guild.roles[guild.id] = Role(guild.id, "@everyone", USUAL)
        guild.members = {member: [] for member in members}
        world.guilds[guild.id] = guild
        channel = Channel(world.snowflake(), TEXT, "lobby", guild.id)
        world.channels[channel.id] = channel
        return channel.id

    # What people do.

    def slash(self, who: str, channel: str, name: str, **options: Any) -> Interaction:
        """Somebody uses a command; name "settings show" is a subcommand."""
        where, words = self._context.world.channel(channel), name.split(" ")
        command = self._command(who, where, words[0], rules.CHAT)
        data = _command_data(command)
        for word in words[1:]:
            found = [o for o in command.get("options", ()) if o["name"] == word]
            if not found:
                raise ValueError(f"{command['name']} has no {word}")
            command = found[0]
        values = self._options(command, options, data)
        for word in reversed(words[1:]):
            values = [{"name": word, "type": rules.SUBCOMMAND, "options": values}]
        if values:
            data["options"] = values
        return self._send("slash", who, where, data)

    def message_command(self, who: str, message: str, name: str) -> Interaction:
        """Somebody uses a command on a message."""
        world = self._context.world
        target = world.messages[message]
        where = world.channels[target.channel]
        command = self._command(who, where, name, rules.MESSAGE)
        shown = wire.message(world, target)
        data = _command_data(command)
        data |= {"target_id": message, "resolved": {"messages": {message: shown}}}
        return self._send("menu", who, where, data)

    def click(self, who: str, message: str, custom_id: str) -> Interaction:
        """Somebody presses a button of a message."""
        world = self._context.world
        target = world.messages[message]
        if target.asker and target.asker != world.user(who).id:
            raise ValueError(f"{who} can't see this message")
        buttons = [part for row in target.components for part in row.get("components", ())]
        button = next((each for each in buttons if each.get("custom_id") == custom_id), None)
        if button is None or button.get("disabled"):
            raise ValueError(f"no button {custom_id}")
        data = {"custom_id": custom_id, "component_type": button["type"], "id": 1}
        where = world.channels[target.channel]
        shown = wire.message(world, target)
        made = self._payload(who, where, 3, data) | {"message": shown}
        return self._deliver("button", who, where, made, source=message)

    def submit(self, who: str, opened: Interaction, texts: dict[str, str]) -> Interaction:
        """Somebody fills in and sends the form that an interaction opened, by custom_id.

        Fields that aren't named keep their prefilled value, and all of them are sent.
        """
        world = self._context.world
        if opened.modal is None or opened.asker != world.user(who).id:
            raise ValueError(f"no form is open for {who}")
        if any(earlier.acked_after is not None for earlier in opened.submissions):
            raise ValueError("the form was sent before")
        components = filled(opened.modal, texts)
        data = {"custom_id": opened.modal["custom_id"], "components": components}
        where = world.channels[opened.channel]
        made = self._payload(who, where, 5, data)
        owners = "authorizing_integration_owners"
        made[owners] = opened.body[owners]
        if opened.source in world.messages:
            made["message"] = wire.message(world, world.messages[opened.source])
        sent = self._deliver("form", who, where, made, source=opened.source, opener=opened)
        opened.submissions.append(sent)
        return sent

    # How it is made.

    def _outside(self, where: Channel) -> bool:
        members = self._context.world.guilds[where.guild].members if where.guild else where.members
        return BOT not in members

    def _command(self, who: str, where: Channel, name: str, kind: int) -> Json:
        world, app = self._context.world, self._context.app
        asker = world.user(who).id
        allowed = world.permissions(asker, where)
        if where.locked or not allowed or (where.guild and not allowed & USE_COMMANDS):
            raise ValueError(f"{who} can't use commands there")
        context = _context_of(where, self._outside(where))
        for command in app.commands.values():
            here = command.get("guild_id", where.guild) == where.guild
            fits = context in (command.get("contexts") or (0, 1, 2))
            if (command["name"], command["type"]) != (name, kind) or not here or not fits:
                continue
            if self._owners(asker, where, command):
                return command
        raise ValueError(f"{name} is no command here")

    def _owners(self, asker: str, where: Channel, command: Json) -> Json:
        """Who authorized the app: {"0": the guild, "0" in a direct one} and {"1": the person}."""
        kinds = command.get("integration_types", [0])
        owners: Json = {}
        if 0 in kinds and not self._outside(where):
            owners["0"] = where.guild or "0"
        if 1 in kinds and asker in self._context.app.users:
            owners["1"] = asker
        return owners

    def _options(self, command: Json, given: dict[str, Any], data: Json) -> list[Json]:
        known = {option["name"]: option for option in command.get("options", ())}
        if unknown := set(given) - set(known):
            raise ValueError(f"no such options: {sorted(unknown)}")
        values = []
        for name, option in known.items():
            if name not in given:
                if option.get("required"):
                    raise ValueError(f"{name} is required")
                continue
            _check_value(option, given[name])
            values.append({"name": name, "type": option["type"], "value": given[name]})
            if option["type"] == rules.PERSON:
                person = wire.user(self._context.world.users[given[name]])
                data.setdefault("resolved", {}).setdefault("users", {})[given[name]] = person
        return values

    def _send(self, kind: Kind, who: str, where: Channel, data: Json) -> Interaction:
        command = self._context.app.commands[data["id"]]
        made = self._payload(who, where, 2, data)
        owners = self._owners(self._context.world.user(who).id, where, command)
        return self._deliver(kind, who, where, made | {"authorizing_integration_owners": owners})

    def _payload(self, who: str, where: Channel, type_: int, data: Json) -> Json:
        world = self._context.world
        asker = world.user(who)
        outside = self._outside(where)
        may = world.permissions(asker.id, where)
        app_may = IN_DIRECT if outside or not where.guild else world.permissions(BOT, where)
        owner = {"1": asker.id} if outside else {"0": where.guild or "0"}
        body: Json = {
            "id": world.snowflake(),
            "application_id": self._context.app.id,
            "type": type_,
            "token": uuid.uuid4().hex * 4,
            "version": 1,
            "data": data,
            "channel": self._channel(where, asker.id) | {"permissions": str(may)},
            "channel_id": where.id,
            "app_permissions": str(app_may),
            "locale": "en-US",
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": owner,
            "context": _context_of(where, outside),
            "attachment_size_limit": ATTACHMENT_LIMIT,
        }
        if not where.guild:
            return body | {"user": wire.user(asker)}
        member = wire.member(world, where.guild, asker.id) | {"permissions": str(may)}
        body |= {"guild_id": where.guild, "guild_locale": "en-US", "member": member}
        return body | {"guild": {"id": where.guild, "locale": "en-US", "features": []}}

    def _channel(self, where: Channel, asker: str) -> Json:
        world = self._context.world
        if where.type != GROUP:
            return wire.channel(world, where)
        people = [wire.user(world.users[who]) for who in sorted(where.members) if who != asker]
        body: Json = {"id": where.id, "type": GROUP, "name": where.name, "icon": None, "flags": 0}
        return body | {"owner_id": asker, "recipients": people, "last_message_id": None}

    def _deliver(
        self,
        kind: Kind,
        who: str,
        where: Channel,
        body: Json,
        *,
        source: str = "",
        opener: Interaction | None = None,
    ) -> Interaction:
        context = self._context
        asker = context.world.user(who).id
        new = Interaction(
            id=body["id"],
            token=body["token"],
            kind=kind,
            asker=asker,
            channel=where.id,
            body=body,
            world=context.world,
            outside=self._outside(where),
            source=source,
            opener=opener,
        )
        context.interactions[new.token] = new
        self.all.append(new)
        if where.archived:
            context.world.change_thread(where, archived=False)
        guild = "" if new.outside else where.guild
        new.delivered = context.gateway.publish_now("INTERACTION_CREATE", guild, body)
        return new


def _context_of(where: Channel, outside: bool) -> int:
    if where.guild:
        return rules.IN_GUILD
    return rules.IN_BOT_DM if where.type == DM and not outside else rules.IN_PRIVATE


def _command_data(command: Json) -> Json:
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    return data | ({"guild_id": command["guild_id"]} if "guild_id" in command else {})


_TYPES: dict[int, tuple[type, ...]] = {
    rules.STRING: (str,),
    rules.INTEGER: (int,),
    rules.BOOLEAN: (bool,),
    rules.PERSON: (str,),
    rules.NUMBER: (int, float),
}


def _check_value(option: Json, value: Any) -> None:
    """Discord's own check of what a person enters. Raises ValueError."""
    name = option["name"]
    if not isinstance(value, _TYPES.get(option["type"], ())):
        raise ValueError(f"{name} can't be {value!r}")
    choices = [choice["value"] for choice in option.get("choices", ())]
    if choices and value not in choices:
        raise ValueError(f"{name} must be one of {choices}")
    if isinstance(value, str):
        low, high = option.get("min_length", 1), option.get("max_length", 6000)
        if not low <= len(value) <= high:
            raise ValueError(f"{name} takes {low} to {high} characters")
