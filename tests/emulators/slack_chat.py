"""`chat.*` of the stand-in: post, update, delete, ephemeral. Limits: Slack's method reference."""

import time
from dataclasses import replace
from typing import Any

from tests.emulators import slack_markup as markup
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
from tests.emulators.slack_workspace import BOT_USER, Channel, Post, Workspace

MAX_UPDATE, MAX_POST, MAX_MARKDOWN = 4_000, 40_000, 12_000
MAX_BLOCKS, MAX_SECTION, MAX_METADATA = 50, 3_000, 8_000


def post_message(world: World, args: Args) -> Json:
    """chat.postMessage."""
    channel = find_channel(world, args)
    must_be_member(channel)
    if channel.archived:
        raise Refusal("is_archived")
    if channel.kind == "im" and not world.app.messages_tab:
        raise Refusal("messages_tab_disabled")
    known = _sent_before(world, args)
    if known:
        return {"channel": channel.id, "ts": known.ts, "message": wire(world.workspace, known)}
    content = content_of(args)
    text, warning = content["text"], ""
    if len(text) > MAX_POST:
        content["text"], warning = text[:MAX_POST], "message_truncated"
    thread_ts = check_thread(world.workspace, channel, args.text("thread_ts"))
    post = Post(
        world.workspace.now(),
        channel.id,
        BOT_USER,
        thread_ts=thread_ts,
        metadata=metadata_of(args),
        client_msg_id=args.text("client_msg_id") or None,
        **content,
    )
    world.workspace.put(post)
    if args.flag("unfurl_links", True) or args.flag("unfurl_media", True):
        world.record.unfurled(post)
    answer: Json = {"channel": channel.id, "ts": post.ts}
    answer["message"] = wire(world.workspace, post, metadata=True)
    if warning:
        answer |= {"warning": warning, "response_metadata": {"warnings": [warning]}}
    return answer


def _sent_before(world: World, args: Args) -> Post | None:
    given = args.text("client_msg_id")
    if not given or not world.app.client_msg_ids:
        return None
    mine = (p for p in world.workspace.posts.values() if p.user == BOT_USER)
    return next((post for post in mine if post.client_msg_id == given), None)


def check_thread(workspace: Workspace, channel: Channel, thread_ts: str) -> str | None:
    """The thread to reply in, None for none. Raises Refusal: unknown, a reply itself, locked."""
    if not thread_ts:
        return None
    root = workspace.posts.get(thread_ts)
    if root is None or root.channel != channel.id:
        raise Refusal("invalid_thread_ts")
    if root.thread_ts:
        raise Refusal("cannot_reply_to_message")
    if thread_ts in channel.locked:
        raise Refusal("restricted_action_thread_locked")
    return thread_ts


def content_of(args: Args) -> dict[str, Any]:
    """text, markdown and blocks of a message to be shown. Raises Refusal."""
    text, markdown = args.text("text"), args.text("markdown_text")
    blocks = args.data("blocks", "invalid_blocks_format")
    if markdown and (text or blocks):
        raise Refusal("markdown_text_conflict")
    if len(markdown) > MAX_MARKDOWN:
        raise Refusal("msg_too_long")
    check_blocks(blocks)
    if not (text.strip() or markdown.strip() or blocks):
        raise Refusal("no_text")
    if markdown:
        return {"text": markup.flatten(markdown), "markdown": markdown, "blocks": ()}
    named = [{"block_id": f"b{number}", **block} for number, block in enumerate(blocks or ())]
    return {"text": markup.normalise(text), "markdown": None, "blocks": tuple(named)}


def check_blocks(blocks: Any) -> None:
    """Raises Refusal for blocks that Slack would not take."""
    if blocks is None:
        return
    if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        raise Refusal("invalid_blocks_format")
    if len(blocks) > MAX_BLOCKS:
        raise _bad_blocks("no more than 50 items allowed [json-pointer:/blocks]")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        raise _bad_blocks("block_id already exists")
    if any("type" not in block for block in blocks):
        raise _bad_blocks("missing required field: type")
    markdown = (block.get("text") for block in blocks if block["type"] == "markdown")
    if sum(len(text) if isinstance(text, str) else 0 for text in markdown) > MAX_MARKDOWN:
        raise Refusal("msg_blocks_too_long")
    sections = [block for block in blocks if block["type"] == "section"]
    if any(len(markup.text_of_blocks([block])) > MAX_SECTION for block in sections):
        raise _bad_blocks("must be less than 3001 characters [json-pointer:/blocks/0/text/text]")


def _bad_blocks(why: str) -> Refusal:
    return Refusal("invalid_blocks", response_metadata={"messages": [f"[ERROR] {why}"]})


def metadata_of(args: Args) -> dict[str, Any] | None:
    """The metadata of a message, None for none. Raises Refusal."""
    metadata = args.data("metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise Refusal("invalid_metadata_format")
    kind, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(kind, str) or not kind or not isinstance(payload, dict):
        raise Refusal("invalid_metadata_format")
    if len(str(metadata)) > MAX_METADATA:
        raise Refusal("metadata_too_large")
    return metadata


def own_post(world: World, channel: Channel, args: Args, refusal: str) -> Post:
    """The app's own message named by `ts`. Raises Refusal."""
    post = find_post(world, channel, args.need("ts"))
    if post.user != BOT_USER:
        raise Refusal(refusal)
    return post


def update(world: World, args: Args) -> Json:
    """chat.update. The label "(edited)" is shown unless the message is made of blocks."""
    channel = find_channel(world, args)
    must_be_member(channel)
    if channel.archived:
        raise Refusal("is_inactive")
    post = own_post(world, channel, args, "cant_update_message")
    if post.streaming and time.time() - float(post.ts) <= world.stream_life:
        raise Refusal("streaming_state_conflict")
    if len(args.text("text")) > MAX_UPDATE:
        raise Refusal("msg_too_long")
    content = content_of(args)
    metadata = metadata_of(args) or post.metadata
    edited = post.edited or not content["blocks"]
    new = replace(post, metadata=metadata, edited=edited, streaming=False, **content)
    world.workspace.put(new)
    message = wire(world.workspace, new, metadata=True)
    return {"channel": channel.id, "ts": new.ts, "text": new.text, "message": message}


def delete(world: World, args: Args) -> Json:
    """chat.delete."""
    channel = find_channel(world, args)
    post = own_post(world, channel, args, "cant_delete_message")
    world.workspace.remove(post.ts)
    return {"channel": channel.id, "ts": post.ts}


def post_ephemeral(world: World, args: Args) -> Json:
    """chat.postEphemeral: seen by one person, never stored."""
    channel = find_channel(world, args)
    must_be_member(channel)
    if channel.archived:
        raise Refusal("is_archived")
    user = args.need("user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    content = content_of(args)
    thread_ts = check_thread(world.workspace, channel, args.text("thread_ts"))
    ts = world.workspace.now()
    post = Post(ts, channel.id, BOT_USER, thread_ts=thread_ts, **content)
    shown = {"channel": channel.id, "user": user, "thread_ts": thread_ts, "text": post.seen}
    world.record.ephemerals.append(shown)
    return {"message_ts": ts}


METHODS = {
    "chat.delete": Method(delete, ("chat:write",)),
    "chat.postEphemeral": Method(post_ephemeral, ("chat:write",)),
    "chat.postMessage": Method(post_message, ("chat:write",)),
    "chat.update": Method(update, ("chat:write",)),
}
