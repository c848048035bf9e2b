"""The camera of every sender: a film that was encoded before, at its pace, key frames on request.

A film can't make a key frame, so a request makes it go on from its next one: at the next picture,
as an encoder would that has no delay of its own. As with the doorbell's cameras, a request brings
none within half a second of the last: it waits, and any key frame that comes fulfils it.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from tests.bench.feed import read_unit

FPS = 29.9
"""A little less than 30: no camera is in step with a screen, and in five seconds every distance
between its pictures and the screen's comes up."""
KEY_REQUEST_PAUSE_S = 0.5
"""As firmware.capture.frame_selection has it, which needs more than the peers' environment has."""
OnUnit = Callable[[AccessUnit], object]


class FilmCamera:
    """Hands on the film's access units from a thread of its own until stopped."""

    def __init__(self, film: Path) -> None:
        self._units = _read(film)
        self._is_key_wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._handed: list[tuple[int, int]] = []

    def start(self, on_unit: OnUnit) -> None:
        """Begin to film."""
        self._thread = threading.Thread(target=self._run, args=(on_unit,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def request_key_frame(self) -> None:
        """Make a picture a key frame, once the last is half a second ago; from any thread."""
        self._is_key_wanted.set()

    def take_handed(self) -> list[tuple[int, int]]:
        """Return which pictures were handed on since the last call, and when (monotonic ns)."""
        handed, self._handed = self._handed, []
        return handed

    def _run(self, on_unit: OnUnit) -> None:
        begin_s, count, place = time.monotonic(), 0, 0
        last_key_s = float("-inf")
        while not self._stopped.wait(max(0.0, begin_s + count / FPS - time.monotonic())):
            may_ask = time.monotonic() - last_key_s >= KEY_REQUEST_PAUSE_S
            if may_ask and self._is_key_wanted.is_set():
                while not self._units[place].is_key:
                    place = (place + 1) % len(self._units)
            unit = self._units[place]
            now_ns = time.monotonic_ns()
            if unit.is_key:
                last_key_s = now_ns / 1e9
                self._is_key_wanted.clear()
            self._handed.append((place, now_ns))
            on_unit(AccessUnit(pts_90k=pts_90k_of(now_ns), is_key=unit.is_key, data=unit.data))
            place = (place + 1) % len(self._units)
            count += 1


def _read(film: Path) -> list[AccessUnit]:
    with film.open("rb") as file:
        units = []
        while (unit := read_unit(file)) is not None:
            units.append(unit)
    return units
