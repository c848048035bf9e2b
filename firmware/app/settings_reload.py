"""Reload of the settings that may change while the doorbell runs."""

import asyncio
import logging
from collections.abc import Callable

from firmware.app.alerts import Alerts
from firmware.app.camera import CameraWiring
from firmware.config.motion_delay import latest_verdict_s
from firmware.config.settings import Config
from firmware.errors import DoorwardError

log = logging.getLogger(__name__)


async def reload_settings(
    read: Callable[[], Config], filming: CameraWiring, alerts: Alerts
) -> None:
    """Read the settings again, and apply masks, motion and bitrate; a wrong file changes none."""
    try:
        config = await asyncio.to_thread(read)
    except DoorwardError as error:
        log.error("the settings stay as they are: %s", error)
        return
    await filming.hide_for_file(config.privacy.masks)
    filming.ring.set_late(latest_verdict_s(config.motion))
    alerts.motion.set_settings(config.motion)
    await filming.keeper.set_bitrate(config.camera.bitrate_bps)
    log.info("masks, motion and bitrate are reloaded; other settings need a restart")
