"""`chat.startStream`, `chat.appendStream`, `chat.stopStream` of the stand-in.

Beyond the method reference: a stream is sealed about five minutes after its start, active or not;
append and stop then fail, and only `chat.update` repairs the message (slackapi/python-slack-sdk
issue 1859).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.emulators import slack_markup as markup
from tests.emulators.slack_chat import MAX_MARKDOWN, check_blocks, check_thread, metadata_of
from tests.emulators.slack_methods import (
    Args,
    Json,
    Method,
    Refusal,
    World,
    find_channel,
    find_post,
    must_be_member,
    wire,
)
from tests.emulators.slack_workspace import BOT_USER, TEAM, Channel, Post

_CHUNKS = ("markdown_text", "task_update", "plan_update", "blocks")
MAX_STREAM = 13_200
"""Characters of a whole message by a stream (measured over all blocks: slackapi/bolt-js 2509)."""


def start(world: World, args: Args) -> Json:
    """chat.startStream: a reply; outside direct messages it is for one named person."""
    channel = find_channel(world, args)
    must_be_member(channel)
    if channel.archived:
        raise Refusal("is_archived")
    if channel.kind not in world.app.streams_in:
        raise Refusal("channel_type_not_supported")
    _check_recipient(world, channel, args)
    thread_ts = check_thread(world.workspace, channel, args.need("thread_ts"))
    text = _text(args)
    post = Post(
        world.workspace.now(),
        channel.id,
        BOT_USER,
        markup.flatten(text),
        thread_ts=thread_ts,
        markdown=text,
        streaming=True,
    )
    world.workspace.put(post)
    world.record.unfurled(post)
    return {"channel": channel.id, "ts": post.ts}


def _check_recipient(world: World, channel: Channel, args: Args) -> None:
    """Raises Refusal: nobody named where somebody must be, or somebody from elsewhere."""
    team, user = args.text("recipient_team_id"), args.text("recipient_user_id")
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if not args.text(name):
                raise Refusal(f"missing_{name}")
    if team and team != TEAM:
        raise Refusal("team_not_found")
    if user and user not in world.workspace.users:
        raise Refusal("user_not_found")


def append(world: World, args: Args) -> Json:
    """chat.appendStream."""
    post, text = _streaming(world, args), _text(args)
    if not text.strip():
        raise Refusal("no_text")
    _longer(world, post, text)
    return {"channel": post.channel, "ts": post.ts}


def stop(world: World, args: Args) -> Json:
    """chat.stopStream: the last text, and blocks beneath it."""
    post, blocks = _streaming(world, args), args.data("blocks", "invalid_blocks_format")
    check_blocks(blocks)
    new = _longer(
        world,
        post,
        _text(args),
        blocks=tuple(blocks or ()),
        metadata=metadata_of(args),
        streaming=False,
    )
    message = wire(world.workspace, new, metadata=True)
    return {"channel": post.channel, "ts": post.ts, "message": message}


def _longer(world: World, post: Post, text: str, **changes: Any) -> Post:
    """The message with more text. Addresses that this adds may be previewed. Raises Refusal."""
    whole = (post.markdown or "") + text
    if len(whole) > MAX_STREAM:
        raise Refusal("msg_blocks_too_long")
    new = replace(post, text=markup.flatten(whole), markdown=whole, **changes)
    world.workspace.put(new)
    if len(markup.urls(new.raw)) > len(markup.urls(post.raw)):
        world.record.unfurled(new)
    return new


def _streaming(world: World, args: Args) -> Post:
    channel = find_channel(world, args)
    must_be_member(channel)
    post = find_post(world, channel, args.need("ts"))
    if post.user != BOT_USER:
        raise Refusal("message_not_owned_by_app")
    if channel.kind not in world.app.streams_in:
        raise Refusal("channel_type_not_supported")
    if post.ts in world.workspace.stopped:
        raise Refusal("stopped_by_user")
    if not post.streaming or _is_sealed(world, post):
        raise Refusal("message_not_in_streaming_state")
    return post


def _is_sealed(world: World, post: Post) -> bool:
    return time.time() - float(post.ts) > world.stream_life


def _text(args: Args) -> str:
    text, chunks = args.text("markdown_text"), args.data("chunks", "invalid_chunks")
    if chunks is not None:
        if not isinstance(chunks, list) or any(c.get("type") not in _CHUNKS for c in chunks):
            raise Refusal("invalid_chunks")
        text += "".join(c.get("text", "") for c in chunks if c["type"] == "markdown_text")
    if len(text) > MAX_MARKDOWN:
        raise Refusal("msg_too_long")
    return text


def _where_there_are(method: Callable[[World, Args], Json]) -> Method:
    """The method, where the workspace has streams."""

    def run(world: World, args: Args) -> Json:
        if world.app.no_streams:
            raise Refusal(world.app.no_streams)
        return method(world, args)

    return Method(run, ("chat:write",))


METHODS = {
    "chat.appendStream": _where_there_are(append),
    "chat.startStream": _where_there_are(start),
    "chat.stopStream": _where_there_are(stop),
}
