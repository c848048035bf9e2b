"""Differences between two documents of owners' settings, and which of them widen (R10c). Pure.

A setting that an owner left alone has the value of the doorbell's own file.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from firmware.protocol.decisions import FileSettings, MaskPolygon, OwnerSettings
from firmware.protocol.encoding import WireError, as_line, decode
from firmware.protocol.grants import SignedStatement
from firmware.protocol.polygons import covers, is_simple

MORE = frozenset({"sensitivity", "pre_roll_ms", "post_roll_ms", "keep_days"})
"""A greater number records or keeps more."""
LESS = frozenset({"min_size_pmyr", "min_time_ms"})
"""A smaller number records more."""
ON = frozenset({"is_opted_in", "is_motion_on", "is_sound_in_live_view", "is_sound_in_clips"})
OFF = frozenset({"is_microphone_off"})
KEYS = tuple(name for name in OwnerSettings.__struct_fields__ if name != "revision")
WHOLE: MaskPolygon = [[0, 0], [1000, 0], [1000, 1000], [0, 1000]]


class _AnyTerms(msgspec.Struct):
    kind: str = ""
    settings: dict[str, Any] = msgspec.field(default_factory=dict)  # Any: a newer app's


class _AnyStatement(msgspec.Struct):
    """A statement whose settings may have keys of a newer app."""

    terms: _AnyTerms


def value(settings: OwnerSettings | None, file: FileSettings, key: str) -> object:
    """Return a setting's value in force, of any but `masks` and `zones`."""
    chosen = None if settings is None else getattr(settings, key)
    return getattr(file.settings, key) if chosen is None else chosen


def number(settings: OwnerSettings | None, file: FileSettings, key: str) -> int:
    """Return the value in force of a setting that is a number."""
    found = value(settings, file, key)
    return found if isinstance(found, int) else 0


def changed(before: OwnerSettings | None, after: OwnerSettings, file: FileSettings) -> list[str]:
    """Return the settings whose value in force differs."""
    found = []
    for key in KEYS:
        if key in ("masks", "zones"):
            drawn = None if before is None else getattr(before, key)
            is_same = drawn == getattr(after, key) or (
                key == "masks" and not drawn and not after.masks
            )
        else:
            is_same = value(before, file, key) == value(after, file, key)
        if not is_same:
            found.append(key)
    return found


def widened(
    before: OwnerSettings | None,
    after: OwnerSettings,
    file: FileSettings,
    file_zones: Sequence[MaskPolygon],
) -> list[str]:
    """Return the changed settings by which more is recorded, kept, heard or told than before.

    `file_zones` are those of the doorbell's own file; none: the whole picture.
    """
    return [
        key
        for key in changed(before, after, file)
        if _is_wider(key, before, after, file, file_zones)
    ]


def unknown_settings(data: bytes) -> list[str]:
    """Return the settings of a newer app that this doorbell doesn't know, at most ten of them.

    `data` is a `SignedStatement` that couldn't be parsed; nothing of it counts.
    """
    try:
        signed = decode(SignedStatement, data)
        statement = msgspec.json.decode(signed.statement, type=_AnyStatement)
    except (WireError, msgspec.DecodeError, RecursionError):
        return []
    if statement.terms.kind != "settings":
        return []
    names = statement.terms.settings.keys() - {"revision", *KEYS}
    return [as_line(name[:40], otherwise="?") for name in sorted(names)[:10]]


def crossed(settings: OwnerSettings) -> str:
    """Return which polygon isn't one, in words; "" if all are."""
    for number, mask in enumerate(settings.masks or [], 1):
        if not is_simple(mask):
            return f"the outline of mask {number} crosses itself"
    for zone in settings.zones or []:
        if not is_simple(zone.corners):
            return f"the outline of the zone {zone.name} crosses itself"
    return ""


def _is_wider(
    key: str,
    before: OwnerSettings | None,
    after: OwnerSettings,
    file: FileSettings,
    file_zones: Sequence[MaskPolygon],
) -> bool:
    if key == "masks":
        old = (None if before is None else before.masks) or []
        new = after.masks or []
        return not all(any(covers(mask, one) for mask in new) for one in old)
    if key == "zones":
        watched = _watched(before, file_zones)
        return not all(
            any(covers(zone, one) for zone in watched) for one in _watched(after, file_zones)
        )
    old_value, new_value = value(before, file, key), value(after, file, key)
    if key in ON:
        return new_value is True
    if key in OFF:
        return new_value is False
    if key in ("cell", "notice_contact"):
        return new_value != ""
    if isinstance(old_value, int) and isinstance(new_value, int):
        return (key in MORE and new_value > old_value) or (key in LESS and new_value < old_value)
    return False


def _watched(
    settings: OwnerSettings | None, file_zones: Sequence[MaskPolygon]
) -> Sequence[MaskPolygon]:
    """Return the zones in which motion counts."""
    if settings is None or settings.zones is None:
        return file_zones or [WHOLE]
    return [zone.corners for zone in settings.zones] or [WHOLE]
