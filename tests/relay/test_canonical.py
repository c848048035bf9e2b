"""The quick canonical form of events and commands is the one that everybody else computes."""

import sys
from typing import get_args

import msgspec
import pytest
import rfc8785

from firmware.protocol.commands import Command, CommandBody, Receipt
from firmware.protocol.encoding import new_id
from firmware.protocol.events import (
    ClipReady,
    Event,
    EventBody,
    Motion,
    Note,
    Pressed,
    RefusalsCounted,
    SlotCommitted,
    Trouble,
)
from relay.base import canonical
from relay.base.canonical import canonical_of

DEVICE = "d" * 20
NOTE = Note(credential_id="c" * 20, browser="b" * 20, sealed="eA")
BODIES: list[EventBody] = [
    Pressed(),
    Motion(),
    NOTE,
    SlotCommitted(slot=2**40, commitment="0" * 64, notes=[NOTE, NOTE]),
    Trouble(code="camera", detail='a "quoted" \\ line / of räksmörgås, 😀 and \u20ac'),
    RefusalsCounted(quarter="2026-Q1", counts={"scope": 2}),
]


def event(body: EventBody) -> Event:
    return Event(
        id=new_id(), device=DEVICE, seq=1, time_ms=2**41, is_clock_trusted=False, body=body
    )


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_an_event_has_the_same_bytes_as_by_its_own_encode(body: EventBody) -> None:
    told = event(body)
    assert canonical_of(told) == told.encode()


def test_every_character_is_written_as_rfc_8785_has_it() -> None:
    said = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    text = "".join(said)
    assert msgspec.json.encode(text) == rfc8785.dumps(text)


def test_a_receipt_has_the_same_bytes() -> None:
    body = Receipt(event_ids=[new_id() for _ in range(3)])
    command = Command(id=new_id(), device=DEVICE, time_ms=1, expires_ms=2, body=body)
    assert canonical_of(command) == command.encode()


def test_what_may_hold_a_number_without_a_canonical_form_takes_the_long_way() -> None:
    assert canonical._is_plain(Event)
    assert canonical._is_plain(Pressed)
    # Seen to fail with IntType always plain.
    assert not canonical._is_plain(ClipReady)
    clip = ClipReady(
        clip_id=new_id(),
        manifest_digest="0" * 64,
        trigger_event_id=new_id(),
        started_ms=1,
        duration_ms=10**17,
        pre_roll_ms=0,
        is_cut_short=False,
    )
    with pytest.raises(ValueError, match="exceeds"):
        canonical_of(event(clip))


def test_most_kinds_take_the_short_way() -> None:
    """Else it would be of no use, and nobody would see it."""
    for union in (EventBody, CommandBody):
        kinds = get_args(union)
        assert sum(canonical._is_plain(kind) for kind in kinds) > len(kinds) / 2
