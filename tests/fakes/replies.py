"""Replies of doorbells that are handed to a relay's commands without a broker."""

import asyncio

from firmware.protocol.commands import Reply
from firmware.protocol.topics import subject
from relay.fleet.commands import Commands


async def hand_reply(commands: Commands, reply: Reply, *, device: str | None = None) -> None:
    """Hand it over as a doorbell's, and wait until it is stored if that is due."""
    await commands.take_reply(subject(device or reply.device, "reply"), reply.encode())
    await asyncio.gather(*commands._storing.values())
