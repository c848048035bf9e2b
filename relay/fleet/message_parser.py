"""Strict parser of MQTT messages: checks size, document, and the subject's doorbell.

A doorbell can only publish on its own subjects; that a document names the same doorbell is
checked here.
"""

from collections.abc import Callable
from typing import TypeVar

from firmware.protocol.commands import Reply
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, decode
from firmware.protocol.events import Event, Status
from firmware.protocol.topics import device_of_subject
from relay.base.canonical import canonical_of

Told = TypeVar("Told", Event, Status, Reply)


def parse_device_message(kind: type[Told], subject: str, data: bytes) -> Told:
    """Return the document, or raise WireError saying what is wrong with it."""
    document = _parse(kind, subject, data)
    _encoded(document, kind.encode)
    return document


def parse_event(subject: str, data: bytes) -> tuple[Event, bytes]:
    """Return an event and its canonical bytes, or raise WireError."""
    event = _parse(Event, subject, data)
    return event, _encoded(event, canonical_of)


def parse_status(subject: str, data: bytes) -> Status:
    """Return a status, or raise WireError. All of its numbers are such as RFC 8785 has."""
    return _parse(Status, subject, data)


def _parse(kind: type[Told], subject: str, data: bytes) -> Told:
    device = device_of_subject(subject)
    document = decode(kind, data, max_bytes=MAX_MQTT_BYTES)
    if document.device != device:
        raise WireError(f"{kind.__name__} of {document.device} on the subject of {device}")
    return document


def _encoded(document: Told, encode: Callable[[Told], bytes]) -> bytes:
    try:
        return encode(document)
    except ValueError as error:  # a number beyond RFC 8785
        raise WireError(f"{type(document).__name__}: has no canonical form: {error}") from error
