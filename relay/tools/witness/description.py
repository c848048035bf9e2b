"""Texts about a witness: its key, and its last signature on each log."""

import datetime as dt
from collections.abc import Mapping

from firmware.protocol.tlog.signed_note import NoteKey
from relay.tools.witness.folder import LastSignature


def describe(key: NoteKey, signed: Mapping[str, LastSignature | None]) -> str:
    """Return a description of this witness."""
    lines = [
        f"This is {key.name}, a witness of transparency logs (c2sp.org/tlog-witness).",
        "It signs that a log only ever grew, and when it saw it. It knows nothing of the entries.",
        "",
        f"Key: {key.vkey}",
        "",
        *(describe_log(origin, last) for origin, last in sorted(signed.items())),
    ]
    return "\n".join(lines) + "\n"


def describe_log(origin: str, last: LastSignature | None) -> str:
    """Return one line on the last signed checkpoint of a log."""
    if last is None:
        return f"{origin}: nothing signed yet"
    when = dt.datetime.fromtimestamp(last.time_s, dt.UTC)
    return f"{origin}: {last.checkpoint.size} entries, signed {when:%Y-%m-%d %H:%M:%S} UTC"
