"""A hostile doorbell: it has a certificate, and says everything that a doorbell may say.

    everything(known)            by list: each kind of event, with what a thief would put into it
    anything(known, rng, count)  at random: any event that the parser takes, often with known ids
    nonsense(event, rng, count)  bytes that are no event, or another one's

`Known` is what it can know: all that is public, and what it overhears of an honest doorbell.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
from msgspec.inspect import type_info

from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    ClockSet,
    Event,
    EventBody,
    KeyChangeCommitted,
    Note,
    OwnerGone,
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
    Paired,
    PairingAnswered,
    PushMessage,
    PushWanted,
    RefusalsCounted,
    ReleaseCommitted,
    SlotCommitted,
    Trouble,
    UploadedPart,
)
from firmware.protocol.pairing import SignedPairingAnswer
from firmware.protocol.releases import ReleaseOpening
from tests.fakes.releases import opening_of
from tests.fakes.sample_keys import P256_KEY, SESSION_KEY, X25519_KEY

MIB = 1024 * 1024
BODIES: tuple[type, ...] = get_args(EventBody)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a thief can put into an event."""

    device: str
    request_id: str
    request_digest: str
    agency: str
    quarter: str
    slot: int
    commitments: Sequence[str] = ()
    """In the public log: of releases and key changes."""
    packages: Sequence[PackageReady] = ()
    """Overheard of honest doorbells."""
    credentials: Sequence[str] = ("AAAA",)

    def opening(self, **changes: str) -> ReleaseOpening:
        """Return a record of its own, opened."""
        fields = {
            "device": self.device,
            "grant_digest": "ab" * 32,
            "package_id": new_id(),
            "request_digest": self.request_digest,
            "agency": self.agency,
        }
        return opening_of(**(fields | changes))

    def ready(self, opening: ReleaseOpening | None = None, **changes: Any) -> PackageReady:
        """Return the announcement of a package; of its own `opening`, if that is of this id."""
        package_id = changes.pop("package_id", new_id())
        opening = opening or self.opening(package_id=package_id)
        right = PackageReady(
            package_id=package_id,
            request_id=self.request_id,
            agency=self.agency,
            size_bytes=6 * MIB,
            part_bytes=8 * MIB,
            part_sha256=["ab" * 32],
            record=opening.record,
            salt_d=opening.salt_d,
        )
        return msgspec.structs.replace(right, **changes)


def uploaded(ready: PackageReady) -> PackageUploaded:
    """Return the report that a package is in the bucket."""
    return PackageUploaded(
        package_id=ready.package_id,
        parts=[
            UploadedPart(number=number, etag='"e"', sha256=digest)
            for number, digest in enumerate(ready.part_sha256, 1)
        ],
    )


def everything(known: Known) -> list[EventBody]:
    """Return each kind of thing that a hostile doorbell would say."""
    opening = known.opening(package_id="a" * 26)
    own = known.ready(opening, package_id="a" * 26)
    return [
        *_releases(known, opening, own),
        *_replays(known),
        *(KeyChangeCommitted(commitment=one) for one in known.commitments),
        KeyChangeCommitted(commitment=opening.record.digest()),
        RefusalsCounted(quarter=known.quarter, counts={"area": 100, "lies": 100, "other": 100}),
        RefusalsCounted(quarter="2999-Q4", counts={}),
        SlotCommitted(slot=known.slot, commitment="cd" * 32, notes=[]),
        SlotCommitted(slot=known.slot + 1_000_000, commitment="cd" * 32, notes=[]),
        SlotCommitted(slot=0, commitment="cd" * 32, notes=[]),
        *_of_owners(known),
        Trouble(code="register", detail="The relay lies."),
        ClockSet(from_seq=1, to_seq=2**53 - 1, offset_ms=2**53 - 1),
    ]


def _releases(known: Known, opening: ReleaseOpening, own: PackageReady) -> list[EventBody]:
    """Return packages that belong to no release, or to one that is spent."""
    huge = known.ready(size_bytes=2**32, part_bytes=64 * MIB, part_sha256=["cd" * 32] * 64)
    return [
        own,  # before it is committed to
        uploaded(own),
        PackageWithdrawn(package_id=own.package_id),
        ReleaseCommitted(commitment=opening.record.digest()),
        own,  # before it is published
        *(known.ready() for _ in range(8)),
        huge,
        known.ready(agency="another-agency"),
        known.ready(request_id="b" * 26),
        known.ready(size_bytes=1, part_bytes=8 * MIB, part_sha256=["ab" * 32] * 3),
        uploaded(huge),
        *(ReleaseCommitted(commitment=f"{number:064x}") for number in range(14)),
    ]


def _replays(known: Known) -> list[EventBody]:
    """Return honest doorbells' words, said again as its own."""
    found: list[EventBody] = [ReleaseCommitted(commitment=one) for one in known.commitments]
    for ready in known.packages:
        record = msgspec.structs.replace(ready.record, device=known.device)
        found += [
            ready,
            msgspec.structs.replace(ready, package_id=new_id()),
            msgspec.structs.replace(ready, record=record),
            uploaded(ready),
            PackageWithdrawn(package_id=ready.package_id),
        ]
    return found


def _of_owners(known: Known) -> list[EventBody]:
    """Return claims on people who never heard of it."""
    found: list[EventBody] = []
    for credential in known.credentials:
        pairing_id = new_id()
        found += [
            PairingAnswered(
                pairing_id=pairing_id,
                signed=SignedPairingAnswer(answer="{}", signature="AAAA"),
            ),
            Paired(pairing_id=pairing_id, credential_id=credential),
            OwnerGone(credential_id=credential),
            Note(credential_id=credential, browser="b" * 20, sealed="AAAA"),
        ]
    push = PushMessage(browser="b" * 20, encrypted="AAAA")
    return [*found, PushWanted(for_event_id=new_id(), expires_ms=2**41, messages=[push])]


def anything(known: Known, rng: random.Random, count: int) -> list[EventBody]:
    """Return random events that are well formed, most with ids and digests that mean something."""
    return [_value(type_info(rng.choice(BODIES)), "", known, rng) for _ in range(count)]


def nonsense(event: Event, rng: random.Random, count: int) -> list[bytes]:
    """Return what is no event: cut off, bent, doubled, of another version, too large."""
    data = event.encode()
    text = data.decode()
    found = [
        b"",
        b"{}",
        data[: rng.randrange(1, len(data))],
        data + data,
        b" " + data,
        text.replace('"v":1', '"v":2').encode(),
        text.replace('{"body"', '{"v":1,"body"', 1).encode(),
        text.replace('"seq":', '"seq":1e400,"seq":').encode(),
        data[:-1] + b',"more":"' + b"a" * 200_000 + b'"}',
        *(
            text.replace('"type":"', f'"counts":{{"area":{figure}}},"quarter":"{quarter}","type":"')
            .replace(event.body.__struct_config__.tag, "refusals_counted")
            .encode()
            for figure, quarter in ((2**31 - 1, "2026-Q2"), (-1, "2026-Q2"), (1, "0000-Q1"))
        ),
    ]
    for _ in range(count):
        bent = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        found.append(bytes(bent))
    return found


def _value(info: Any, name: str, known: Known, rng: random.Random) -> Any:  # Any: of msgspec
    """Return a random value of a type: within its bounds, often one that is known."""
    match info:
        case msgspec.inspect.StructType():
            fields = {
                one.name: _value(one.type, one.encode_name, known, rng)
                for one in info.fields
                if one.required or rng.random() < 0.5
            }
            return info.cls(**fields)
        case msgspec.inspect.UnionType():
            return _value(rng.choice(info.types), name, known, rng)
        case msgspec.inspect.LiteralType():
            return rng.choice(info.values)
        case msgspec.inspect.ListType():
            least, most = info.min_length or 0, min(info.max_length or 3, 3)
            count = rng.randint(least, max(least, most))
            return [_value(info.item_type, name, known, rng) for _ in range(count)]
        case msgspec.inspect.DictType():
            names = rng.sample(["area", "clock", "lies", "other", "window"], rng.randint(0, 5))
            return {one: _value(info.value_type, name, known, rng) for one in names}
        case msgspec.inspect.IntType():
            bounds = (info.ge or 0, info.le if info.le is not None else 2**53 - 1)
            near = [bounds[0], bounds[1], known.slot, 1, 6 * MIB]
            return min(max(rng.choice([*near, rng.randint(*bounds)]), bounds[0]), bounds[1])
        case msgspec.inspect.BoolType():
            return rng.random() < 0.5
        case msgspec.inspect.NoneType():
            return None
        case _:
            return _text(info, name, known, rng)


def _text(info: Any, name: str, known: Known, rng: random.Random) -> str:
    named: dict[str, Sequence[str]] = {
        "request_id": [known.request_id, new_id()],
        "package_id": [*(one.package_id for one in known.packages), "a" * 26, new_id()],
        "agency": [known.agency, "another-agency"],
        "commitment": [*known.commitments, "ee" * 32, "00" * 32],
        "device": [known.device, "b" * 20],
        "credential_id": known.credentials,
        "quarter": [known.quarter, "2000-Q1", "2999-Q4"],
        "delivery": [*(one.record.delivery for one in known.packages), "11" * 32],
        "grant": [*(one.record.grant for one in known.packages), "22" * 32],
        "salt": [*(one.record.salt for one in known.packages), "A" * 43],
        "picture": ["A" * 34_174],
        "salt_d": [*(one.salt_d for one in known.packages), "A" * 43],
    }
    if name in named:
        return rng.choice(named[name])
    texts = ["x", "Gate", '"; DROP TABLE packages; --', "<b>&amp;</b>", "ö" * 50]
    coded = ["", "AAAA", "A" * 400, "A" * 406, P256_KEY, X25519_KEY, SESSION_KEY]
    ids = [new_id(), "a" * 26, "b" * 20, "ab" * 32, "00" * 32]
    plain = [text for text in texts if _may_be(text, info)]
    return rng.choice(plain or [text for text in coded + ids if _may_be(text, info)])


def _may_be(text: str, info: Any) -> bool:
    """Return whether a type takes the text."""
    if not (info.min_length or 0) <= len(text) <= (info.max_length or len(text)):
        return False
    return info.pattern is None or re.search(info.pattern, text) is not None
