"""All that follows the first stage: enrolment, then the `Doorbell`, until it is to stop.

Loading this module loads every library; `firmware.app.process` does that beside the running bell.
"""

import asyncio
import random
import signal
from collections.abc import Callable
from functools import partial

import httpx2

from firmware.app.doorbell import Doorbell
from firmware.app.site import Site
from firmware.capture.video_source import MakeCamera
from firmware.config.settings import Config
from firmware.enrolment.client import Enroller
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.shards import ShardGuide
from firmware.panel.doorstep import Doorstep
from firmware.protocol.encoding import new_id
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort, OneAtATime, Watchdog

HTTP_TIMEOUT_S = 30.0


async def run_enrolled(
    config: Config,
    reload: Callable[[], Config],
    *,
    clock: SystemClock,
    doorstep: Doorstep,
    watchdog: Watchdog,
    end: LastResort,
    stop: asyncio.Event,
    make_camera: MakeCamera | None = None,
) -> None:
    """Enrol, if need be, and be the doorbell until `stop` is set."""
    async with httpx2.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
        site = await _enrol(config, clock, http, stop, make_camera)
        if site is None:
            return
        doorbell = Doorbell(site, doorstep, end)
        watchdog.watch("camera keeper", doorbell.filming.keeper)
        reloading = OneAtATime(partial(doorbell.reload, reload), name="reload")
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.ask)
        await doorbell.run(stop)


async def _enrol(
    config: Config,
    clock: SystemClock,
    http: httpx2.AsyncClient,
    stop: asyncio.Event,
    make_camera: MakeCamera | None,
) -> Site | None:
    """Return the site once the doorbell is enrolled; None if it is stopped before."""
    source = random.SystemRandom()
    keys = load_or_make_keys(config.data_dir)
    guide = ShardGuide(
        data_dir=config.data_dir, policy_path=config.log.policy_path, http=http, clock=clock
    )
    enroller = Enroller(
        data_dir=config.data_dir,
        claim_file=config.claim_file,
        keys=keys,
        http=http,
        source=source,
        guide=guide,
    )
    enrolling = asyncio.create_task(enroller.enrol_patiently(), name="enrolment")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({enrolling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not enrolling.done():
        enrolling.cancel()
        return None
    return Site(
        config=config,
        keys=keys,
        enrolment=enrolling.result(),
        clock=clock,
        boot_id=new_id(),
        http=http,
        source=source,
        make_camera=make_camera,
    )
