"""MQTT topics of one doorbell, and the NATS subjects that they are on the broker.

| topic                    | direction | payload                        |
|--------------------------|-----------|--------------------------------|
| `dw/{device_id}/event`   | up        | `events.Event`, QoS 1          |
| `dw/{device_id}/status`  | up        | `events.Status`, will, retained|
| `dw/{device_id}/reply`   | up        | `commands.Reply`, QoS 1        |
| `dw/{device_id}/command` | down      | `commands.Command`             |
"""

import re

from firmware.protocol.encoding import DEVICE_ID_PATTERN, WireError

UP_KINDS = ("event", "status", "reply")
ALL_EVENTS_SUBJECT = "dw.*.event"
ALL_STATUS_SUBJECT = "dw.*.status"
ALL_REPLIES_SUBJECT = "dw.*.reply"


def topic(device_id: str, kind: str) -> str:
    """Return the MQTT topic, such as `dw/abc…/event`."""
    return f"dw/{device_id}/{kind}"


def subject(device_id: str, kind: str) -> str:
    """Return the NATS subject of the same topic."""
    return f"dw.{device_id}.{kind}"


def device_of_subject(name: str) -> str:
    """Return the device id in a NATS subject, or raise WireError."""
    parts = name.split(".")
    if len(parts) != 3 or parts[0] != "dw" or not re.match(DEVICE_ID_PATTERN, parts[1]):
        raise WireError(f"not a doorbell's subject: {name[:80]!r}")
    return parts[1]
