"""Luma frames that a test hands to the motion watch's thread, one after the other."""

import asyncio
import threading

from firmware.capture.camera_output import LumaFrame
from tests.fakes.waiting import PATIENCE_S


class HandedFrames:
    """Hands out a frame and waits until it was judged; implements `FrameSource` and `Frames`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: LumaFrame | None = None
        self._is_wanted = False
        self._is_closed = False

    def subscribe_thread(self) -> "HandedFrames":
        return self

    def next(self) -> LumaFrame | None:
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._frame is not None or self._is_closed)
            frame, self._frame = self._frame, None
            return frame

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    async def hand(self, frame: LumaFrame) -> None:
        await asyncio.to_thread(self._hand, frame)
        for _ in range(3):  # what was begun is told
            await asyncio.sleep(0)

    def _hand(self, frame: LumaFrame) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_wanted, PATIENCE_S)
            self._is_wanted, self._frame = False, frame
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_wanted, PATIENCE_S)
