"""The site of one enrolled doorbell: what its process is given, before any part of it exists."""

import random
from dataclasses import dataclass

import httpx2

from firmware.config.settings import Config
from firmware.enrolment.keys import DeviceKeys
from firmware.protocol.claims import Enrolment
from firmware.system.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Settings, identity, time, network and chance of one doorbell; no part of it belongs here."""

    config: Config
    keys: DeviceKeys
    enrolment: Enrolment
    clock: SystemClock
    boot_id: str
    """A new one at each start of the process; clips are dated by it."""
    http: httpx2.AsyncClient
    source: random.Random
