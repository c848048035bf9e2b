"""The peers of the motion detector, each on luma frames: does this frame show motion?

MOG2 is OpenCV's own; the settings that it leaves open are the best on the tuning seeds. The other
is written anew after the source of Frigate's "improved" motion detector, with its default settings:
a picture of 100 rows, contrast stretched between the means of 50 frames' 4th and 96th percentile, a
blur, the difference to a running average, threshold, dilation and contours; boxes don't count while
it calibrates. It differs in the blur's rounding, and to its advantage: all 50 frames begin as the
first one, while Frigate's contrast drifts after a start, for longer than a scene lasts. Frigate
gives its boxes to an object detector, which drops most false ones; this has none. Both need OpenCV.
"""

from collections import deque
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from firmware.capture.camera_output import LumaFrame
from firmware.config.settings import MotionConfig
from firmware.motion.detector import MotionDetector

Bytes = NDArray[np.uint8]
QUIET_FRAMES = 30
"""As long as our own detector settles."""


class FrameDetector(Protocol):
    """Judges one frame after another."""

    def is_moving(self, frame: LumaFrame) -> bool:
        """Tell whether something moves."""
        ...


class Own:
    """Doorward's, with the settings that the example configuration has."""

    def __init__(self) -> None:
        self._detector = MotionDetector(MotionConfig())

    def is_moving(self, frame: LumaFrame) -> bool:
        return self._detector.look(frame) is not None


class Mog2:
    """OpenCV's Gaussian mixture, opened by 3×3, and the largest connected part."""

    def __init__(
        self, *, least_area: float = 0.0005, frames: int = 1, shadows: bool = False
    ) -> None:
        self._mog2 = cv2.createBackgroundSubtractorMOG2(detectShadows=shadows)
        self._kernel = np.ones((3, 3), np.uint8)
        self._least_area = least_area
        self._frames = frames
        self._seen = 0
        self._run = 0

    def is_moving(self, frame: LumaFrame) -> bool:
        self._seen += 1
        foreground = self._mog2.apply(_luma(frame))
        _, foreground = cv2.threshold(foreground, 200, 255, cv2.THRESH_BINARY)
        foreground = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, self._kernel)
        count, _, stats, _ = cv2.connectedComponentsWithStats(foreground)
        largest = stats[1:, cv2.CC_STAT_AREA].max() if count > 1 else 0
        is_large = largest >= self._least_area * foreground.size
        self._run = self._run + 1 if is_large and self._seen > QUIET_FRAMES else 0
        return self._run >= self._frames


class FrigateStyle:
    """After Frigate's source, with its default settings."""

    ROWS = 100
    THRESHOLD, CONTOUR_AREA = 30, 10
    ALPHA, CALIBRATING_ALPHA = 0.01, 0.2
    LIGHTNING = 0.8
    CONTRAST_FRAMES = 50

    def __init__(self) -> None:
        self._average: NDArray[np.float32] | None = None
        self._contrast: deque[tuple[int, int]] = deque(maxlen=self.CONTRAST_FRAMES)
        self._is_calibrating = True
        self._moving_frames = 0

    def is_moving(self, frame: LumaFrame) -> bool:
        columns = frame.width * self.ROWS // frame.height
        resized = cv2.resize(_luma(frame), (columns, self.ROWS), interpolation=cv2.INTER_NEAREST)
        blurred = cv2.GaussianBlur(self._stretched(np.asarray(resized, np.uint8)), (3, 3), 1)
        small = np.asarray(blurred, np.uint8)
        if self._average is None:
            self._average = np.zeros(small.shape, np.float32)
        delta = cv2.absdiff(small, cv2.convertScaleAbs(self._average))
        _, hot = cv2.threshold(delta, self.THRESHOLD, 255, cv2.THRESH_BINARY)
        hot = cv2.dilate(hot, np.ones((3, 3), np.uint8))
        contours = cv2.findContours(hot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[-2]
        areas = [cv2.contourArea(contour) for contour in contours]
        boxes = sum(area > self.CONTOUR_AREA for area in areas)
        part = sum(areas) / small.size
        if part < 0.05 and boxes <= 4:
            self._is_calibrating = False
        if part > self.LIGHTNING:
            self._is_calibrating = True
        self._learn(small, self._average, is_quiet=boxes == 0)
        return boxes > 0 and not self._is_calibrating

    def _stretched(self, small: Bytes) -> Bytes:
        low, high = np.percentile(small, (4, 96)).astype(int)
        if low >= high:
            return small
        self._contrast.extend([(low, high)] * (1 if self._contrast else self.CONTRAST_FRAMES))
        mean_low, mean_high = np.mean(self._contrast, axis=0)
        stretched = np.clip(small, mean_low, mean_high)
        return np.asarray((stretched - mean_low) / (mean_high - mean_low) * 255, np.uint8)

    def _learn(self, small: Bytes, average: NDArray[np.float32], *, is_quiet: bool) -> None:
        """What moves is learnt only after ten frames of it."""
        self._moving_frames = 0 if is_quiet else self._moving_frames + 1
        if is_quiet or self._moving_frames >= 10:
            alpha = self.CALIBRATING_ALPHA if self._is_calibrating else self.ALPHA
            cv2.accumulateWeighted(small, average, alpha)


def _luma(frame: LumaFrame) -> Bytes:
    rows = np.frombuffer(frame.data, dtype=np.uint8).reshape(frame.height, frame.stride)
    return np.ascontiguousarray(rows[:, : frame.width])
