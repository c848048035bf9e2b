"""Notices for passers-by, as a doorbell tells them."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.door_notices import (
    DoorNotice,
    DoorNoticeTold,
    notice_id_of,
    notice_key_of,
    told_notice,
)

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
