"""libcamera's automatic exposure on a Pi, in memory, before a scene of light.

As in Raspberry Pi's libcamera (26bfadc, src/ipa/rpi): `computeInitialY`, `computeGain`,
`constraintComputeGain`, `computeTargetExposure`, `filterExposure`, `applyDigitalGain` and
`divideUpExposure` of controller/rpi/agc_channel.cpp; EXPOSURE_VALUE, AE_METERING_MODE and
AE_CONSTRAINT_MODE of common/ipa_base.cpp; weights, constraints, profile and gamma of
pisp/data/imx708.json. What it sets shows three pictures later, as a sensor does. Channel 0 only:
while HDR runs, another one counts, and ExposureValue changes nothing.
"""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float64]

ZONES = 15
PIXELS = (3 * ZONES, 4 * ZONES)
"""Rows and columns of a scene."""
CENTRE_WEIGHTED = """
001111111111100 011111222111110 111122222221111 112222222222211 112222333222211
112223333322211 112233343332211 112233444332211 112233343332211 112223333322211
112222333222211 112222222222211 111122222221111 011111222111110 001111111111100
"""
SPOT = {
    5: (0, 0, 1, 0, 0),
    6: (0, 1, 2, 1, 0),
    7: (1, 2, 3, 2, 1),
    8: (0, 1, 2, 1, 0),
    9: (0, 0, 1, 0, 0),
}
METERING = {
    0: np.array([[int(weight) for weight in row] for row in CENTRE_WEIGHTED.split()], float),
    1: np.array([[0] * 5 + list(SPOT.get(row, [0] * 5)) + [0] * 5 for row in range(ZONES)], float),
    2: np.ones((ZONES, ZONES)),
}
NORMAL, SHADOWS = ((0.98, 1.0, 0.5),), ((0.0, 0.5, 0.17),)
"""Constraints of the kind LOWER: the mean from one quantile to another is at least so much."""
TARGET_Y, TARGET_LIMIT = 0.165, 0.9
SPEED, STABLE, STARTUP_PICTURES = 0.2, 0.02, 10
TIMES_US, GAINS = (100, 10_000, 30_000, 50_000, 66_666), (1.0, 1.5, 2.0, 4.0, 16.0)
GAMMA_IN = (0, 1024, 2048, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65535)
GAMMA_OUT = (0, 5033, 9309, 15225, 20534, 25212, 32696, 38445, 45871, 50470, 57824, 65535)
FAST_REDUCE, MAX_DIGITAL_GAIN = 0.4, 4.0
DELAY_PICTURES = 3


class FakeAutoExposure:
    """A sensor and its automatic exposure; `scene` is light that a test may change.

    A pixel is white where light × exposure time in seconds × gain is 1.
    """

    def __init__(self, scene: Light, *, has_shadows: bool = True) -> None:
        self.scene = scene
        self._constraints = {0: NORMAL} | ({2: SHADOWS} if has_shadows else {})
        self._constraint = NORMAL
        self._filtered_us = 1_000.0
        self._count = 0
        self._set = deque([(1_000.0, 1.0, 1.0)] * DELAY_PICTURES)

    def picture(self, controls: dict[str, Any]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Expose one picture: its luma, as large as the scene, and its metadata."""
        time_us, gain, digital = self._set.popleft()
        linear = np.minimum(self.scene * (time_us * gain / 1e6), 1.0)
        self._set.append(self._next(linear, time_us * gain, controls))
        curve = np.interp(np.minimum(linear * digital, 1.0) * 65535, GAMMA_IN, GAMMA_OUT) / 65535
        luma = np.round(16 + 219 * curve).astype(np.uint8)
        told = {name: controls[name] for name in ("AeConstraintMode", "ExposureValue")}
        return luma, {
            "ExposureTime": round(time_us),
            "AnalogueGain": gain,
            "DigitalGain": digital,
            **told,
        }

    def _next(
        self, linear: Light, current_us: float, controls: dict[str, Any]
    ) -> tuple[float, float, float]:
        self._count += 1
        ev = 1.0 if controls.get("HdrMode") else 2.0 ** controls["ExposureValue"]
        # A mode that the tuning file hasn't got leaves the last one (housekeepConfig).
        wanted = controls["AeConstraintMode"]
        self._constraint = self._constraints.get(wanted, self._constraint)
        factor, target = self._factor(linear, METERING[controls["AeMeteringMode"]], ev)
        longest_us = min(TIMES_US[-1], controls["FrameDurationLimits"][1])
        self._filter(min(current_us * factor, longest_us * GAINS[-1]))
        is_burnt = target > FAST_REDUCE and factor < target**0.5
        without_digital_us = self._filtered_us * (FAST_REDUCE if is_burnt else 1.0)
        time_us, gain = _divided(without_digital_us, longest_us)
        digital = min(self._filtered_us / (time_us * gain), MAX_DIGITAL_GAIN)
        self._filtered_us = time_us * gain * digital
        return time_us, gain, digital

    def _factor(self, linear: Light, weights: Light, ev: float) -> tuple[float, float]:
        target = min(TARGET_LIMIT, TARGET_Y * ev)
        zones = linear.reshape(ZONES, 3, ZONES, 4).mean(axis=(1, 3))
        factor = 1.0
        for _ in range(8):
            seen = np.average(np.minimum(zones * factor, 1.0), weights=weights)
            more = min(10.0, target / (seen + 0.001))
            factor *= more
            if more < 1.01:
                break
        ordered = np.sort(linear.reshape(-1))
        for low, high, least in self._constraint:
            part = ordered[int(low * ordered.size) : max(1, int(high * ordered.size))]
            least = min(TARGET_LIMIT, least * ev)
            if least / max(float(part.mean()), 1e-6) > factor:
                factor, target = least / max(float(part.mean()), 1e-6), least
        return factor, target

    def _filter(self, target_us: float) -> None:
        speed, stable = SPEED, STABLE
        if self._count <= STARTUP_PICTURES:
            speed, stable = 1.0, 0.0
        ratio = self._filtered_us / target_us
        if 1 - stable < ratio < 1 + stable:
            return
        if 0.8 < ratio < 1.2:
            speed = speed**0.5
        self._filtered_us += speed * (target_us - self._filtered_us)


def _divided(total_us: float, longest_us: float) -> tuple[float, float]:
    """Return exposure time and gain, by the tuning file's profile."""
    time_us, gain = float(TIMES_US[0]), GAINS[0]
    for stage_us, stage_gain in zip(TIMES_US[1:], GAINS[1:], strict=True):
        if min(stage_us, longest_us) * gain >= total_us:
            return total_us / gain, gain
        time_us = min(stage_us, longest_us)
        if stage_gain * time_us >= total_us:
            return time_us, total_us / time_us
        gain = stage_gain
    return time_us, gain
