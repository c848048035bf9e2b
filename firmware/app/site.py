"""The environment of one enrolled doorbell, which all its parts are built from."""

import random
from dataclasses import dataclass

import httpx2

from firmware.capture.video_source import MakeCamera
from firmware.config.settings import Config
from firmware.enrolment.keys import DeviceKeys
from firmware.protocol.claims import Enrolment
from firmware.system.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Settings, keys, clock, HTTP client and randomness of one doorbell; none of its parts."""

    config: Config
    keys: DeviceKeys
    enrolment: Enrolment
    clock: SystemClock
    boot_id: str
    """A new one at each start of the process; clips are dated by it."""
    http: httpx2.AsyncClient
    source: random.Random
    make_camera: MakeCamera | None = None
    """Makes what stands in for the camera that the settings name."""
