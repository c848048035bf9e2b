"""The doorbell's process, in stages: first the bell, then all else.

The first stage is what a press needs: pins, chime, light, the clock, and a file that keeps presses.
It works from the first moment on, also while it enrols, and imports nothing else: a house test has
the list. The rest (`firmware.app.enrolled`) is loaded by a thread, so that the bell needn't wait.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware.clips.folder_lock import locked_alone
from firmware.config.settings import Config
from firmware.errors import NumPyMissing
from firmware.panel.doorstep import Doorstep
from firmware.panel.light import LightState
from firmware.panel.panel import Panel, open_gpio
from firmware.system.clock import Kernel, LinuxKernel, SystemClock
from firmware.system.factory_reset import finish_wipe, order_wipe
from firmware.system.shard_move import finish_shard_move
from firmware.system.supervision import LastResort, Watchdog
from firmware.system.systemd import of_this_process

if TYPE_CHECKING:
    from firmware.capture.video_source import MakeCamera

log = logging.getLogger(__name__)


def run(
    config: Config, reload: Callable[[], Config], *, make_camera: "MakeCamera | None" = None
) -> int:
    """Run the doorbell until SIGTERM or SIGINT; return the exit code. StoreError if one runs.

    `make_camera` stands in for `firmware.app.camera.camera_of`, and loads what it needs.
    """
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked_alone(config.data_dir):
        finish_wipe(config.data_dir)
        finish_shard_move(config.data_dir)
        exit_code = asyncio.run(_run(config, reload, make_camera))
        has_moved = finish_shard_move(config.data_dir)
        return 0 if finish_wipe(config.data_dir) or has_moved else exit_code


async def _run(
    config: Config, reload: Callable[[], Config], make_camera: "MakeCamera | None"
) -> int:
    kernel = _kernel_of(config)
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
    doorstep = Doorstep(
        config.panel, panel, data_dir=config.data_dir, clock=clock, boot=clock.boot_id
    )
    panel.start()
    panel.light.set(LightState.STARTING, True)
    await doorstep.start()
    manager = of_this_process()
    watchdog = Watchdog(manager)
    guarding = asyncio.create_task(watchdog.run(), name="watchdog")
    manager.ready()  # the bell rings from here on
    end = LastResort(stop, manager)
    try:
        await asyncio.to_thread(_load_the_rest, None if make_camera else config.camera.kind)
        from firmware.app.enrolled import run_enrolled  # loaded by now

        if not stop.is_set():
            await run_enrolled(
                config,
                reload,
                clock=clock,
                doorstep=doorstep,
                watchdog=watchdog,
                end=end,
                stop=stop,
                make_camera=make_camera,
            )
    finally:
        manager.stopping()
        guarding.cancel()
        try:
            await panel.close()
        finally:  # no press comes any more; the last ones are kept
            await doorstep.close()
    return end.exit_code


def _load_the_rest(camera_kind: str | None) -> None:
    """Import all that follows the first stage: seconds on a small board. On a thread."""
    try:
        from firmware.app.camera import load_camera
        from firmware.app.enrolled import run_enrolled  # noqa: F401 - for the loop
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise NumPyMissing from error
    if camera_kind is not None:
        load_camera(camera_kind)


def _kernel_of(config: Config) -> Kernel:
    if config.clock.example_path is None:
        return LinuxKernel()
    from firmware.transparency.simulated_clock import kernel_of  # only an example town has one

    return kernel_of(config)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Unheard, it would end the process. Whoever is enrolled hears it in another way.
    loop.add_signal_handler(signal.SIGHUP, log.info, "nothing to reload yet: it still enrols")
    return stop
