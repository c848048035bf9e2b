"""Each owner's key of the doorbell's file is in the app, in both languages, and applied."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import firmware
from firmware.config.loader import parse_config
from firmware.config.owner_settings import with_owners
from firmware.protocol.decisions import OwnerSettings, Preferences, SetRecovery, Zone

REPOSITORY = Path(firmware.__file__).parents[1]
EXAMPLE = (REPOSITORY / "firmware" / "doorbell.example.toml").read_text("utf-8")
FIELDS = (REPOSITORY / "relay" / "owner_app" / "setting_fields.js").read_text("utf-8")
SQUARE = [[0, 0], [500, 0], [500, 500], [0, 500]]

SIGNED: dict[str, tuple[str, Any, Any]] = {
    "motion.is_on": ("is_motion_on", False, False),
    "motion.zones": (
        "zones",
        [Zone(name="Gate", corners=SQUARE)],
        (((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)),),
    ),
    "motion.zone_names": ("zones", [Zone(name="Gate", corners=SQUARE)], ("Gate",)),
    "motion.sensitivity": ("sensitivity", 8, 8),
    "motion.min_size_percent": ("min_size_pmyr", 250, 2.5),
    "motion.min_time_s": ("min_time_ms", 1500, 1.5),
    "clips.pre_roll_s": ("pre_roll_ms", 2000, 2.0),
    "clips.post_roll_s": ("post_roll_ms", 9000, 9.0),
    "clips.longest_s": ("longest_ms", 90_000, 90.0),
    "clips.keep_days": ("keep_days", 7, 7),
    "sound.is_in_live_view": ("is_sound_in_live_view", False, False),
    "sound.is_in_clips": ("is_sound_in_clips", True, True),
    "health.gaps_reported": ("gaps_reported", 0, 0),
    "place.cell": ("cell", "8944a1b2c3fffff", "8944a1b2c3fffff"),
    "place.is_opted_in": ("is_opted_in", True, True),
}
"""By the file's key: the signed setting, a value of it, and what the doorbell makes of that."""

PREFERRED: dict[str, tuple[str, Any, Any]] = {
    "camera.metering": ("metering", "average", "average"),
    "camera.backlight": ("backlight", "off", "off"),
    "panel.light_percent": ("light_percent", 20, 20),
    "panel.chime_ms": ("chime_ms", 0, 0),
    "sound.language": ("language", "sv", "sv"),
    "sound.volume_percent": ("volume_percent", 50, 50),
    "sound.reply_after_s": ("reply_after_s", 20, 20),
}

ELSEWHERE = {
    "privacy.masks": "masks",  # they add up with the file's: CameraWiring.hide_for_owners
    "sound.is_microphone_on": "is_microphone_off",  # on only at the doorbell's own page
}
IN_NO_FILE = ("has_reminder", "notice_contact")
RECOVERY = "storage.recovery_key"
"""A statement of its own: SetRecovery, on the page of the recovery paper."""


def owners_keys() -> set[str]:
    """Return the keys that the example marks as an owner's."""
    table, found = "", set()
    for line in EXAMPLE.splitlines():
        if named := re.match(r"\[(\w+)\]", line):
            table = named.group(1)
        if key := re.match(r"(\w+) = .*  # owner's$", line):
            found.add(f"{table}.{key.group(1)}")
    return found


def words_of(folder: str, language: str) -> dict[str, str]:
    """Return all texts of a language that lie in a folder."""
    found: dict[str, str] = {}
    for path in sorted((REPOSITORY / folder).glob(f"{language}*.json")):
        found |= json.loads(path.read_text("utf-8"))
    return found


def test_each_owners_key_of_the_example_is_set_from_the_app() -> None:
    assert owners_keys() == {*SIGNED, *PREFERRED, *ELSEWHERE, RECOVERY}
    keys = re.findall(r"^  (\w+): \{ kind:", FIELDS, re.MULTILINE)
    signed = {*(key for key, _, _ in SIGNED.values()), *ELSEWHERE.values(), *IN_NO_FILE}
    preferred = {*(key for key, _, _ in PREFERRED.values()), "name"}
    assert sorted(keys) == sorted(signed | preferred)
    assert signed == {*OwnerSettings.__struct_fields__} - {"revision"}
    assert preferred == {*Preferences.__struct_fields__}
    assert SetRecovery.__struct_config__.tag == "recovery"


@pytest.mark.parametrize("language", ["en", "sv"])
def test_each_has_words_in_the_app_and_what_is_confirmed_at_the_door_has_them_there(
    language: str,
) -> None:
    app = words_of("relay/owner_app/locales", language)
    door = words_of("firmware/local_page/locales", language)
    for key in OwnerSettings.__struct_fields__:
        if key != "revision":
            assert app[f"setting.{key}"]
            assert key == "masks" or door[f"setting.{key}"]
    assert all(app[f"setting.{key}"] for key in Preferences.__struct_fields__)


@pytest.mark.parametrize("key", sorted({**SIGNED, **PREFERRED}))
def test_the_doorbell_goes_by_an_owners_value_in_place_of_the_files(key: str) -> None:
    config = parse_config(tomllib.loads(EXAMPLE), REPOSITORY)
    settings, preferences = OwnerSettings(revision=1), Preferences()
    if key in SIGNED:
        name, value, expected = SIGNED[key]
        settings = OwnerSettings(revision=1, **{name: value})
    else:
        name, value, expected = PREFERRED[key]
        preferences = Preferences(**{name: value})
    table, _, field = key.partition(".")
    before = getattr(getattr(config, table), field)
    after = getattr(getattr(with_owners(config, settings, preferences), table), field)
    assert before != expected
    assert after == expected
