"""The sign on a message whose question waits for others: an hourglass, put there and taken away."""

import asyncio

import structlog

from adapters.discord import calls, refusals
from adapters.discord.calls import Api
from adapters.discord.ids import Address
from adapters.discord.refusals import Refused
from core.errors import DeliveryError, RateLimited, Unreachable

log = structlog.get_logger()

WAITING = "%E2%8F%B3"
"""The reaction on a prompt that waits: an hourglass, as it stands in an address
(docs.discord.com/developers/resources/message#create-reaction)."""
SIGN_PATIENCE = 60.0
"""Seconds for which the reaction is tried: Discord takes one in a quarter of a second."""


async def mark(api: Api, at: Address, guild: str, *, waits: bool) -> None:
    """Put the sign on the message that was asked with, or take it away. Never raises.

    One after the other in a channel: a burst would only run into the limit of reactions.
    """
    async with api.reacting.setdefault(at.channel, asyncio.Lock()):
        await _react(api, at, guild, waits=waits)


async def _react(api: Api, at: Address, guild: str, *, waits: bool) -> None:
    """The reaction, or its end; what Discord won't have is left. It may say no to the end of one
    that isn't there: nobody keeps what was shown."""
    if waits and guild in api.no_reactions:
        return
    names = {"channel": at.channel, "message": at.before, "emoji": WAITING}
    loop = asyncio.get_running_loop()
    end = loop.time() + SIGN_PATIENCE
    while loop.time() < end:
        try:
            await api.call(calls.REACT if waits else calls.UNREACT, names)
            return
        except RateLimited as error:
            wait = error.retry_after
        except Unreachable:
            wait = 1.0
        except DeliveryError as error:
            if isinstance(error, Refused) and error.code == refusals.NO_PERMISSION:
                # No more is put in this server, until the next start.
                api.no_reactions.add(guild)
            log.info("discord.no_waiting_sign", reason=str(error))
            return
        await asyncio.sleep(wait)
