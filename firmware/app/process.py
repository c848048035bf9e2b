"""The doorbell's process: signals, the lock against a second one, enrolment, then `Doorbell`.

The panel works from the first moment on, so that the bell rings also while it enrols.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Callable
from functools import partial

import httpx2

from firmware.app.doorbell import Doorbell
from firmware.app.simulated_clock import kernel_of
from firmware.app.site import Site
from firmware.clips.folder_lock import locked_alone
from firmware.config.settings import Config
from firmware.enrolment.client import Enroller
from firmware.enrolment.keys import load_or_make_keys
from firmware.panel.light import LightState
from firmware.panel.panel import Panel, open_gpio
from firmware.protocol.encoding import new_id
from firmware.system.clock import SystemClock
from firmware.system.factory_reset import finish_wipe, order_wipe
from firmware.system.supervision import LastResort, OneAtATime, Watchdog
from firmware.system.systemd import of_this_process

HTTP_TIMEOUT_S = 30.0

log = logging.getLogger(__name__)


def run(config: Config, reload: Callable[[], Config]) -> int:
    """Run the doorbell until SIGTERM or SIGINT; return the exit code. StoreError if one runs."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked_alone(config.data_dir):
        finish_wipe(config.data_dir)
        exit_code = asyncio.run(_run(config, reload))
        return 0 if finish_wipe(config.data_dir) else exit_code


async def _run(config: Config, reload: Callable[[], Config]) -> int:
    kernel = kernel_of(config)
    stop = _stop_on_signals()
    clock = SystemClock(
        is_host_time_trusted=config.clock.is_host_time_trusted,
        kept_in=config.data_dir / "clock.json",
        kernel=kernel,
    )

    def reset() -> None:
        order_wipe(config.data_dir)
        stop.set()

    panel = Panel(
        config.panel,
        open_gpio(config.panel),
        has_presence=config.motion.presence != "none",
        has_infrared=config.camera.has_infrared,
        clock=clock,
    )
    panel.reset_wanted.add(reset)
    panel.start()
    panel.light.set(LightState.STARTING, True)
    manager = of_this_process()
    watchdog = Watchdog(manager)
    guarding = asyncio.create_task(watchdog.run(), name="watchdog")
    manager.ready()  # the bell rings from here on
    end = LastResort(stop, manager)
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
            site = await _enrol(config, clock, http, stop)
            if site is not None:
                doorbell = Doorbell(site, panel, end)
                watchdog.watch("camera keeper", doorbell.filming.keeper)
                reloading = OneAtATime(partial(doorbell.reload, reload), name="reload")
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.ask)
                await doorbell.run(stop)
    finally:
        manager.stopping()
        guarding.cancel()
        await panel.close()
    return end.exit_code


async def _enrol(
    config: Config, clock: SystemClock, http: httpx2.AsyncClient, stop: asyncio.Event
) -> Site | None:
    """Return the site once the doorbell is enrolled; None if it is stopped before."""
    source = random.SystemRandom()
    keys = load_or_make_keys(config.data_dir)
    enroller = Enroller(
        data_dir=config.data_dir, claim_file=config.claim_file, keys=keys, http=http, source=source
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
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Unheard, it would end the process. Whoever is enrolled hears it in another way.
    loop.add_signal_handler(signal.SIGHUP, log.info, "nothing to reload yet: it still enrols")
    return stop
