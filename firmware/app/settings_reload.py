"""Reload of the doorbell's own file while it runs."""

import asyncio
import logging
from collections.abc import Callable

from firmware.app.owner_settings import DoorbellSettings
from firmware.config.settings import Config
from firmware.errors import DoorwardError

log = logging.getLogger(__name__)


async def reload_settings(read: Callable[[], Config], settings: DoorbellSettings) -> None:
    """Read the file again, and apply what it says of the owner's; a wrong file changes nothing."""
    try:
        config = await asyncio.to_thread(read)
    except DoorwardError as error:
        log.error("the settings stay as they are: %s", error)
        return
    await settings.use_file(config)
    log.info("the owner's settings and the bitrate are reloaded; the installer's need a restart")
