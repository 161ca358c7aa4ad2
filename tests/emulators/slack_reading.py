"""The stand-in's methods that read, and the small ones: auth, conversations, users, assistant."""

import base64
from typing import Any

from tests.emulators import slack_workspace as ids
from tests.emulators.slack_app import HISTORY_SCOPE, READ_SCOPE
from tests.emulators.slack_chat import check_thread
from tests.emulators.slack_methods import (
    Args,
    Json,
    Method,
    Refusal,
    World,
    find_channel,
    find_post,
    invalid,
    must_be_member,
    must_have,
    wire,
)
from tests.emulators.slack_workspace import Post


def auth_test(world: World, args: Args) -> Json:
    """auth.test."""
    return {
        "url": f"{world.address}/",
        "team": "Stand-in",
        "user": world.workspace.users[ids.BOT_USER].name,
        "team_id": ids.TEAM,
        "user_id": ids.BOT_USER,
        "bot_id": ids.BOT,
        "is_enterprise_install": False,
    }


def connections_open(world: World, args: Args) -> Json:
    """apps.connections.open: an address for one connection."""
    return {"url": world.new_socket()}


def replies(world: World, args: Args) -> Json:
    """conversations.replies: oldest first, the root only on the first page.

    A reply's own ts gives that message alone (slackapi/bolt-python issue 783).
    """
    channel = find_channel(world, args)
    must_have(world, HISTORY_SCOPE[channel.kind])
    must_be_member(channel)
    ts = args.need("ts")
    post = world.workspace.posts.get(ts)
    if post is None or post.channel != channel.id:
        raise Refusal("thread_not_found")
    if post.thread_ts:
        return _page(world, args, [post], 1000)
    root, *answers = world.workspace.thread(channel.id, ts)
    return _page(world, args, [root, *_between(args, answers)], 1000)


def history(world: World, args: Args) -> Json:
    """conversations.history: messages that aren't replies, newest first."""
    channel = find_channel(world, args)
    must_have(world, HISTORY_SCOPE[channel.kind])
    must_be_member(channel)
    return _page(world, args, _between(args, world.workspace.roots(channel.id)), 100)


def _between(args: Args, posts: list[Post]) -> list[Post]:
    try:
        oldest = float(args.text("oldest") or 0)
        latest = float(args.text("latest") or "inf")
    except ValueError:
        raise Refusal("invalid_ts_oldest") from None
    if args.flag("inclusive"):
        return [post for post in posts if oldest <= float(post.ts) <= latest]
    return [post for post in posts if oldest < float(post.ts) < latest]


def _page(world: World, args: Args, posts: list[Post], default: int) -> Json:
    limit = args.number("limit", default, 1000)
    if world.app.distributed:
        limit = min(limit, 15)
    if cursor := args.text("cursor"):
        try:
            after = base64.b64decode(cursor, validate=True).decode().removeprefix("next_ts:")
            start = 1 + [post.ts for post in posts].index(after)
        except ValueError:
            raise Refusal("invalid_cursor") from None
    else:
        start = 0
    page, more = posts[start : start + limit], len(posts) > start + limit
    metadata = args.flag("include_all_metadata")
    answer: Json = {"messages": [wire(world.workspace, post, metadata) for post in page]}
    answer["has_more"] = more
    if more:
        token = base64.b64encode(f"next_ts:{page[-1].ts}".encode()).decode()
        answer["response_metadata"] = {"next_cursor": token}
    return answer


def info(world: World, args: Args) -> Json:
    """conversations.info."""
    channel = find_channel(world, args)
    must_have(world, READ_SCOPE[channel.kind])
    shown: Json = {
        "id": channel.id,
        "name": channel.name,
        "is_channel": channel.kind == "channel",
        "is_group": channel.kind == "group",
        "is_im": channel.kind == "im",
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "channel",
        "is_archived": channel.archived,
        "is_member": ids.BOT_USER in channel.members,
    }
    return {"channel": shown}


def users_info(world: World, args: Args) -> Json:
    """users.info."""
    user = world.workspace.users.get(args.need("user"))
    if user is None:
        raise Refusal("user_not_found")
    profile = {"real_name": user.real_name, "display_name": user.name}
    shown: Json = {"id": user.id, "team_id": ids.TEAM, "name": user.name, "deleted": False}
    shown |= {"real_name": user.real_name, "tz": "Europe/London", "profile": profile}
    return {"user": shown | {"is_bot": user.is_bot}}


def set_status(world: World, args: Args) -> Json:
    """assistant.threads.setStatus: empty clears; at most ten loading messages."""
    channel = find_channel(world, args, "channel_id")
    must_be_member(channel)
    status, messages = args.text("status"), args.data("loading_messages", "invalid_arguments")
    if "status" not in args.values:
        raise invalid("[ERROR] missing required field: status")
    if messages is not None and (not isinstance(messages, list) or len(messages) > 10):
        raise invalid("[ERROR] no more than 10 items allowed [json-pointer:/loading_messages]")
    thread_ts = check_thread(world.workspace, channel, args.need("thread_ts"))
    assert thread_ts is not None
    world.record.set_status(channel.id, thread_ts, status, "set")
    return {}


def set_prompts(world: World, args: Args) -> Json:
    """assistant.threads.setSuggestedPrompts: one to four.

    Agent view: without thread_ts; with one the call says ok and shows nothing. Legacy assistant
    view: thread_ts is required.
    """
    channel = find_channel(world, args, "channel_id")
    if channel.kind != "im":
        raise Refusal("channel_not_found")
    prompts: Any = args.data("prompts", "invalid_arguments")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
        raise invalid("[ERROR] must be 1 to 4 items [json-pointer:/prompts]")
    for prompt in prompts:
        if not isinstance(prompt, dict) or not prompt.get("title") or not prompt.get("message"):
            raise invalid("[ERROR] missing required field: title or message")
    thread_ts = args.text("thread_ts")
    if not world.app.agent_view:
        check_thread(world.workspace, channel, args.need("thread_ts"))
    shown = {"channel": channel.id, "thread_ts": thread_ts or None, "prompts": prompts}
    if not (world.app.agent_view and thread_ts):
        world.record.prompts.append(shown | {"title": args.text("title")})
    return {}


def set_title(world: World, args: Args) -> Json:
    """assistant.threads.setTitle: the title of a thread in the direct conversation."""
    channel = find_channel(world, args, "channel_id")
    if channel.kind != "im":
        raise Refusal("channel_not_found")
    thread_ts = check_thread(world.workspace, channel, args.need("thread_ts"))
    title = {"channel": channel.id, "thread_ts": thread_ts, "title": args.need("title")}
    world.record.titles.append(title)
    return {}


def add_reaction(world: World, args: Args) -> Json:
    """reactions.add."""
    channel = find_channel(world, args)
    must_be_member(channel)
    post = find_post(world, channel, args.need("timestamp"))
    reaction = {"channel": channel.id, "ts": post.ts, "name": args.need("name")}
    if reaction in world.record.reactions:
        raise Refusal("already_reacted")
    world.record.reactions.append(reaction)
    return {}


_HISTORY = tuple(sorted(HISTORY_SCOPE.values()))
_READ = tuple(sorted(READ_SCOPE.values()))
_ASSISTANT = ("assistant:write",)

METHODS = {
    "apps.connections.open": Method(connections_open, token="app"),
    "assistant.threads.setStatus": Method(set_status, ("chat:write", "assistant:write")),
    "assistant.threads.setSuggestedPrompts": Method(set_prompts, _ASSISTANT),
    "assistant.threads.setTitle": Method(set_title, _ASSISTANT),
    "auth.test": Method(auth_test),
    "conversations.history": Method(history, _HISTORY, json=False),
    "conversations.info": Method(info, _READ, json=False),
    "conversations.replies": Method(replies, _HISTORY, json=False),
    "reactions.add": Method(add_reaction, ("reactions:write",)),
    "users.info": Method(users_info, ("users:read",), json=False),
}
