"""`chat.startStream`, `chat.appendStream`, `chat.stopStream` of the stand-in.

Beyond the method reference: a stream is sealed about five minutes after its start, active or not;
append and stop then fail, and only `chat.update` repairs the message (slackapi/python-slack-sdk
issue 1859).
"""

import time
from dataclasses import replace

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
from tests.emulators.slack_workspace import BOT_USER, Post

_CHUNKS = ("markdown_text", "task_update", "plan_update", "blocks")


def start(world: World, args: Args) -> Json:
    """chat.startStream: a reply; outside direct messages it is for one named person."""
    channel = find_channel(world, args)
    must_be_member(channel)
    if channel.archived:
        raise Refusal("is_archived")
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if not args.text(name):
                raise Refusal(f"missing_{name}")
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


def append(world: World, args: Args) -> Json:
    """chat.appendStream."""
    post, text = _streaming(world, args), _text(args)
    if not text:
        raise Refusal("no_text")
    whole = (post.markdown or "") + text
    world.workspace.put(replace(post, text=markup.flatten(whole), markdown=whole))
    return {"channel": post.channel, "ts": post.ts}


def stop(world: World, args: Args) -> Json:
    """chat.stopStream: the last text, and blocks beneath it."""
    post, blocks = _streaming(world, args), args.data("blocks", "invalid_blocks_format")
    check_blocks(blocks)
    whole = (post.markdown or "") + _text(args)
    new = replace(
        post,
        text=markup.flatten(whole),
        markdown=whole,
        blocks=tuple(blocks or ()),
        metadata=metadata_of(args),
        streaming=False,
    )
    world.workspace.put(new)
    message = wire(world.workspace, new, metadata=True)
    return {"channel": post.channel, "ts": post.ts, "message": message}


def _streaming(world: World, args: Args) -> Post:
    channel = find_channel(world, args)
    must_be_member(channel)
    post = find_post(world, channel, args.need("ts"))
    if post.user != BOT_USER:
        raise Refusal("message_not_owned_by_app")
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


METHODS = {
    "chat.appendStream": Method(append, ("chat:write",)),
    "chat.startStream": Method(start, ("chat:write",)),
    "chat.stopStream": Method(stop, ("chat:write",)),
}
