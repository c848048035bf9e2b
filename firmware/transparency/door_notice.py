"""The notice for passers-by: what this doorbell records, put up while an owner wants it.

It is made of the settings in force, of nothing that an owner could write otherwise but the line
with whom to ask. It is told anew when it would say something else, and once a week, since the relay
removes what isn't renewed. Its key and id are made when it is put up, and forgotten when it is
taken down: no later notice can be linked to it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.capture.video_source import Mask
from firmware.config.settings import Config
from firmware.enrolment.browsers import EnrolledBrowser
from firmware.notes.sealed_notes import Notes
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.door_notices import (
    DoorNotice,
    DoorNoticeEnded,
    notice_id_of,
    notice_key_of,
    told_notice,
)
from firmware.protocol.notes import DoorNoticeNow
from firmware.store.door_notice import DoorNoticeStore, StoredNotice
from firmware.system.clock import Clock

LOOKED_AT_EVERY_S = 60.0
"""Players' rights end by the clock, which announces nothing."""
RENEWED_AFTER_MS = 7 * 24 * 3600 * 1000
HOUR_MS = 3600 * 1000

log = logging.getLogger(__name__)


class SettingsInForce(Protocol):
    """The settings that count (`firmware.app.owner_settings.DoorbellSettings`)."""

    @property
    def in_force(self) -> Config:
        """The file's settings with the owners' in their place."""
        ...

    @property
    def notice_contact(self) -> str:
        """Whom passers-by may ask; "": no notice is wanted."""
        ...


class MaskedCamera(Protocol):
    """The camera (`firmware.app.camera.CameraWiring`)."""

    @property
    def mask(self) -> Mask:
        """What is never filmed."""
        ...


class SwitchedMicrophone(Protocol):
    """The microphone (`firmware.sound.microphone.Microphone`)."""

    @property
    def is_on(self) -> bool:
        """Whether it may be used."""
        ...


class KnownBrowsers(Protocol):
    """The browsers with a right here (`firmware.enrolment.browsers.BrowserStore`)."""

    def all(self) -> Sequence[EnrolledBrowser]:
        """Return them, expired ones too."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The parts of the doorbell that a notice is made of; `picture_size` is as it is shown."""

    settings: SettingsInForce
    camera: MaskedCamera
    microphone: SwitchedMicrophone
    browsers: KnownBrowsers
    picture_size: tuple[int, int]


class DoorNoticeKeeper:
    """Keeps the notice as it has to be. Build it inside the running loop."""

    def __init__(
        self,
        *,
        recorded: Recorded,
        store: DoorNoticeStore,
        notes: Notes,
        promises: DeferredEvents,
        clock: Clock,
    ) -> None:
        self._recorded = recorded
        self._store = store
        self._notes = notes
        self._promises = promises
        self._clock = clock
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """Look at once whether the notice still says what is so."""
        self._changed.set()

    async def run(self) -> None:
        """Keep it until cancelled."""
        while True:
            self._changed.clear()
            await self.keep()
            try:
                async with asyncio.timeout(LOOKED_AT_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def keep(self) -> None:
        """Put up, renew or take down the notice, if that has to be.

        Nothing is put up as long as the time isn't known. Raises OSError of the card.
        """
        stored = await asyncio.to_thread(self._store.get)
        if self._recorded.settings.notice_contact == "":
            if stored is not None:
                await self._take_down(stored)
        elif self._clock.is_trusted():
            await self._put_up(stored)

    async def _put_up(self, stored: StoredNotice | None) -> None:
        now_ms = self._clock.wall_ms()
        since_ms = now_ms if stored is None else stored.since_ms
        key = _new_key() if stored is None else _load(stored.key)
        notice = self._notice(key, since_ms, now_ms)
        told_digest = _without_times(notice).digest()
        if stored is not None and stored.told_digest == told_digest:
            age_ms = now_ms - stored.told_ms
            if 0 <= age_ms < RENEWED_AFTER_MS:  # a clock that was ahead renews at once
                return
        notice_id = notice_id_of(notice.key)
        with self._promises.collect() as told:
            await self._promises.publish(told_notice(notice, key, self._notes.device))
            if stored is None:
                body = DoorNoticeNow(notice_id=notice_id, since_ms=since_ms)
                await self._notes.to_all(body)
        kept = StoredNotice(
            notice_id=notice_id,
            key=_saved(key),
            since_ms=since_ms,
            told_ms=now_ms,
            told_digest=told_digest,
        )
        await asyncio.to_thread(self._store.put, kept, told)
        await self._promises.flush()
        log.info("the notice for passers-by is told")

    async def _take_down(self, stored: StoredNotice) -> None:
        with self._promises.collect() as told:
            await self._promises.publish(DoorNoticeEnded(notice_id=stored.notice_id))
            await self._notes.to_all(DoorNoticeNow(notice_id=None, since_ms=0))
        await asyncio.to_thread(self._store.end, told)
        await self._promises.flush()
        log.info("the notice for passers-by is taken down")

    def _notice(self, key: ec.EllipticCurvePrivateKey, since_ms: int, now_ms: int) -> DoorNotice:
        facts, settings = self._recorded, self._recorded.settings
        in_force, has_sound = settings.in_force, facts.microphone.is_on
        width, height = facts.picture_size
        return DoorNotice(
            key=notice_key_of(key),
            since_ms=_hour(since_ms),
            told_ms=_hour(now_ms),
            contact=settings.notice_contact,
            shape_permille=round(height * 1000 / width),
            masks=[
                [[round(x * 1000), round(y * 1000)] for x, y in polygon]
                for polygon in facts.camera.mask.polygons
            ],
            is_motion_recorded=in_force.motion.is_on,
            pre_roll_ms=round(in_force.clips.pre_roll_s * 1000),
            post_roll_ms=round(in_force.clips.post_roll_s * 1000),
            longest_ms=round(in_force.clips.longest_s * 1000),
            keep_days=in_force.clips.keep_days,
            is_sound_recorded=has_sound and in_force.sound.is_in_clips,
            is_sound_live=has_sound and in_force.sound.is_in_live_view,
            recorders=sum(
                one.may("record", now_ms, is_clock_trusted=True) for one in facts.browsers.all()
            ),
        )


def _without_times(notice: DoorNotice) -> DoorNotice:
    fields = {name: getattr(notice, name) for name in DoorNotice.__struct_fields__}
    return DoorNotice(**{**fields, "since_ms": 0, "told_ms": 0})


def _hour(time_ms: int) -> int:
    """Return the whole hour: a minute could be matched with who came home just then."""
    return time_ms - time_ms % HOUR_MS


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _saved(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load(data: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_der_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a notice's key is a P-256 key")
    return key
