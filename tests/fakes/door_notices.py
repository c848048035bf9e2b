"""Notices for passers-by, as a doorbell tells them, and the part that keeps them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from firmware.capture.video_source import Mask
from firmware.config.settings import Config
from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.notes.sealed_notes import Notes
from firmware.outbox.deferred_events import DeferredEvents
from firmware.outbox.publisher import OnceEventPublisher
from firmware.protocol.door_notices import (
    DoorNotice,
    DoorNoticeTold,
    notice_id_of,
    notice_key_of,
    told_notice,
)
from firmware.protocol.events import EventBody
from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEventStore
from firmware.store.door_notice import DoorNoticeStore
from firmware.system.clock import Clock
from firmware.transparency.door_notice import DoorNoticeKeeper, Recorded

NOW_MS = 1_790_000_000_000
MASK = [[0, 0], [250, 0], [250, 600], [0, 800]]


class NoticeWriter:
    """Signs the notices of one doorbell with one key, as long as it is put up."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def notice_id(self) -> str:
        """The id under which it is shown."""
        return notice_id_of(notice_key_of(self.key))

    def write(self, **changes: Any) -> DoorNotice:
        """Return a notice, with some of it changed."""
        said: dict[str, Any] = {
            "since_ms": NOW_MS,
            "told_ms": NOW_MS,
            "contact": "Ada, at the door or by ada@example.org",
            "shape_permille": 562,
            "masks": [MASK],
            "is_motion_recorded": True,
            "pre_roll_ms": 6000,
            "post_roll_ms": 6000,
            "longest_ms": 60_000,
            "keep_days": 14,
            "is_sound_recorded": False,
            "is_sound_live": True,
            "recorders": 1,
        }
        return DoorNotice(key=notice_key_of(self.key), **{**said, **changes})

    def tell(self, device: str, **changes: Any) -> DoorNoticeTold:
        """Return the event by which a doorbell puts it up."""
        return told_notice(self.write(**changes), self.key, device)


@dataclass
class Said:
    """The settings, camera, microphone and browsers that a notice is made of."""

    in_force: Config = field(default_factory=Config)
    notice_contact: str = ""
    mask: Mask = field(default_factory=Mask)
    is_on: bool = False
    known: list[EnrolledBrowser] = field(default_factory=list)

    def all(self) -> list[EnrolledBrowser]:
        return self.known


@dataclass
class Told:
    """The outbox's side: what was published, each once."""

    bodies: list[EventBody] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    async def publish(self, body: EventBody) -> None:
        self.bodies.append(body)

    async def publish_once(self, body: EventBody, event_id: str) -> None:
        if event_id not in self.ids:
            self.ids.add(event_id)
            self.bodies.append(body)


def keeper_of(
    folder: Path, said: Said, *, keys: DeviceKeys, events: OnceEventPublisher, clock: Clock
) -> DoorNoticeKeeper:
    """Return the keeper of a doorbell whose owners and storage are in this folder."""
    database = Database(folder / "library.sqlite3")
    promises = DeferredEvents(store=DeferredEventStore(database), events=events)
    owners = OwnerStore(folder / "owners.json")
    browsers = BrowserStore(folder / "browsers.json", owners)
    return DoorNoticeKeeper(
        recorded=Recorded(
            settings=said, camera=said, microphone=said, browsers=said, picture_size=(1280, 720)
        ),
        store=DoorNoticeStore(database),
        notes=Notes(keys=keys, owners=owners, browsers=browsers, clock=clock, events=promises),
        promises=promises,
        clock=clock,
    )
