"""The doorstep: takes each press from the first moment on, before anything else is loaded.

The panel chimes; then the press goes to whoever tells presses, once there is somebody. Until then,
and again at the end, it is kept durably, off the loop, with its time and the id that its event will
have. Before an owner is paired nothing is kept.
With mock pins the control socket moves the contacts; its "ok" means that the press is told or kept.
"""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from firmware.config.settings import PanelConfig
from firmware.errors import ControlError
from firmware.outbox.early_presses import EARLY_PRESSES_FILE, EarlyPress, EarlyPresses
from firmware.panel.button import Press
from firmware.panel.control_socket import ControlSocket, PanelView
from firmware.panel.gpio import ButtonName, MockGpio
from firmware.panel.panel import Panel
from firmware.protocol.encoding import new_id
from firmware.system.clock import Clock
from firmware.system.ownership import OwnersFile

log = logging.getLogger(__name__)

MAX_EARLY = 100
"""Presses in memory; more chime and aren't told."""
HEARD_WITHIN_S = 0.3
"""A mock press was debounced long before."""

Telling = asyncio.Task[bool]
"""The telling, or keeping, of a press; whether it is safe."""


class PressTaker(Protocol):
    """Who tells presses (`firmware.app.bell.Bell`)."""

    def take(self, press: Press) -> Telling | None:
        """Begin to tell a press; None if it isn't told."""
        ...

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera for some seconds."""
        ...


class Doorstep:
    """The panel's presses. Build it inside the running loop, then `start` it."""

    def __init__(
        self,
        settings: PanelConfig,
        panel: Panel,
        *,
        data_dir: Path,
        clock: Clock,
        boot: str,
    ) -> None:
        """`boot` is the kernel's id of this boot."""
        self.panel = panel
        self._clock = clock
        self._boot = boot
        self._owners = OwnersFile(data_dir)
        self._file = EarlyPresses(data_dir / EARLY_PRESSES_FILE)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="early presses")
        self._early = {press.id: press for press in self._file.read()}
        self._taker: PressTaker | None = None
        self._has_taker = asyncio.Event()
        self._keeping: set[Telling] = set()
        self._listening: list[asyncio.Future[Telling | None]] = []
        self._control: ControlSocket | None = None
        if isinstance(panel.gpio, MockGpio):
            front = _MockFront(panel, panel.gpio, self)
            self._control = ControlSocket(Path(settings.control_socket), front)
        panel.pressed.add(self._on_press)

    async def start(self) -> None:
        """Listen on the control socket, if there is one."""
        if self._control is not None:
            await self._control.start()

    async def close(self) -> None:
        """Listen no more; return once what came last is kept."""
        if self._control is not None:
            await self._control.close()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    def hand_over(self, taker: PressTaker) -> list[EarlyPress]:
        """Give `taker` each press from now on; return those that came before, in order."""
        self._taker = taker
        self._has_taker.set()
        return list(self._early.values())

    async def forget_early(self) -> None:
        """Forget the presses that were handed over: they are told."""
        if self._taker is not None:  # else new ones came into the same file
            self._early.clear()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.forget)

    def take_back(self) -> None:
        """Keep the presses from now on, for the next start."""
        self._taker = None
        self._has_taker.clear()

    async def taker(self) -> PressTaker:
        """Return who tells presses, once somebody does."""
        while self._taker is None:
            await self._has_taker.wait()
        return self._taker

    @contextmanager
    def hearing(self) -> Iterator[asyncio.Future[Telling | None]]:
        """Yield the telling of the next press in this block; None if it isn't told."""
        heard: asyncio.Future[Telling | None] = asyncio.get_running_loop().create_future()
        self._listening.append(heard)
        try:
            yield heard
        finally:
            self._listening.remove(heard)

    def _on_press(self, press: Press) -> None:
        telling = self._keep(press) if self._taker is None else self._taker.take(press)
        for heard in self._listening:
            if not heard.done():
                heard.set_result(telling)

    def _keep(self, press: Press) -> Telling | None:
        """Begin to keep a press; None if it isn't."""
        if not self._owners.has_owner():
            log.info("the bell rang; nobody is paired, so nothing is kept")
            return None
        if len(self._early) >= MAX_EARLY:
            log.error("a press isn't told: %d others still wait", MAX_EARLY)
            return None
        age_ms = (self._clock.monotonic_ns() - press.at_ns) // 1_000_000
        early = EarlyPress(
            id=new_id(),
            boot=self._boot,
            monotonic_ns=press.at_ns,
            time_ms=max(0, self._clock.wall_ms() - age_ms),
            is_clock_trusted=self._clock.is_trusted(),
        )
        self._early[early.id] = early
        keeping = asyncio.create_task(self._store(early), name="early press")
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        return keeping

    async def _store(self, press: EarlyPress) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.add, press)
        except OSError as error:
            log.error("a press is in memory only until the rest has loaded: %s", error)
            return False
        return True


class _MockFront:
    """The door's front where the pins are mock ones; implements `panel.control_socket.DoorFront`.

    What nobody hears yet waits until somebody does.
    """

    def __init__(self, panel: Panel, gpio: MockGpio, doorstep: Doorstep) -> None:
        self._panel = panel
        self._gpio = gpio
        self._doorstep = doorstep

    async def press(self, pin: ButtonName, hold_s: float) -> None:
        """Move a mock contact; return once the press that it made is accepted, or raise."""
        if pin != "bell":
            await self._doorstep.taker()
            await self._gpio.press(pin, hold_s)
            return
        with self._doorstep.hearing() as heard:
            await self._gpio.press(pin, hold_s)
            try:
                telling = await asyncio.wait_for(heard, HEARD_WITHIN_S)
            except TimeoutError:
                return  # a spark, or a press that the panel keeps for itself
        if telling is not None and not await telling:
            raise ControlError("the press can't be stored; look at the doorbell's log")

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera."""
        taker = await self._doorstep.taker()
        await taker.show(picture_png, seconds)

    def look(self) -> PanelView:
        """Return the state of the mock pins."""
        return PanelView(
            light=self._panel.light.shown,
            light_level=self._gpio.level("light"),
            chime_pulses=sum(change.level == 1 for change in self._gpio.history("chime")),
            is_infrared_on=self._gpio.level("infrared") == 1,
        )
