"""firmware.config: the example explains every key, and wrong settings are named."""

import contextlib
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

import firmware
from firmware.__main__ import main
from firmware.config.loader import load_config, parse_config
from firmware.config.settings import Config
from firmware.config.values import Whose
from firmware.errors import ConfigError
from firmware.protocol.settings_file import keys_of

EXAMPLE = Path(firmware.__file__).with_name("doorbell.example.toml")

KEYS = dict(keys_of(Config))
NAMES = [key.rpartition(".")[2] for key in KEYS]
KEY_LINE = re.compile(r"(\w+) = .*?  # (.*)")

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]

MASKS = (
    "at most 8 masks, each a list of 3 to 32 corners [x, y] as fractions "
    "of the picture, 0 to 1 from the top left"
)


def refusal(table: dict) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(table, Path("/home/doorbell"))
    return caught.value


def marks_in_example() -> dict[str, str]:
    """What stands behind each key of the example, by `table.key`."""
    marks, prefix = {}, ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if opened := re.match(r"\[(\w+)\]", line):
            prefix = f"{opened[1]}."
        elif found := KEY_LINE.fullmatch(line):
            marks[prefix + found[1]] = found[2]
    return marks


def test_the_example_holds_every_key_and_its_default() -> None:
    table = tomllib.loads(EXAMPLE.read_text("utf-8"))
    named = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in table.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert named == set(KEYS)
    assert parse_config(table, Path("/x")) == parse_config({}, Path("/x"))


def test_the_example_explains_every_key() -> None:
    is_explained = False
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            is_explained = True
        elif not line or line.startswith("["):
            is_explained = False
        else:
            assert is_explained, f"no comment above {line}"


def test_every_key_is_either_the_installers_or_the_owners() -> None:
    for key, kind in KEYS.items():
        marks = [mark for mark in get_args(kind) if isinstance(mark, Whose)]
        assert len(marks) == 1, f"{key} has {len(marks)} marks"


def test_the_example_says_of_every_key_whose_it_is() -> None:
    marks = {
        key: next(mark.value for mark in get_args(kind) if isinstance(mark, Whose))
        for key, kind in KEYS.items()
    }
    assert marks_in_example() == marks


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text('data_dir = "data"\n[camera]\nfile = "door.mp4"\n[panel]\npins = "mock"\n')
    config = load_config(path)
    assert config.data_dir == tmp_path / "data"
    assert config.claim_file == tmp_path / "claim.json"
    assert config.camera.file == tmp_path / "door.mp4"
    assert config.panel.control_socket == str(tmp_path / "data" / "control.sock")
    assert config.log.policy_path == tmp_path / "policy.txt"


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ({"camera": 3}, "camera", 3, "a table [camera]"),
        ({"camera": {"fps": "30"}}, "camera.fps", "30", "a whole number from 5 to 60"),
        ({"camera": {"fps": True}}, "camera.fps", True, "a whole number from 5 to 60"),
        ({"camera": {"fps": 30.5}}, "camera.fps", 30.5, "a whole number from 5 to 60"),
        ({"camera": {"fps": 0}}, "camera.fps", 0, "a whole number from 5 to 60"),
        ({"camera": {"width": 641}}, "camera.width", 641, "an even number from 160 to 4096"),
        ({"camera": {"kind": "film"}}, "camera.kind", "film", '"replay" or "picamera" or "webcam"'),
        (
            {"camera": {"bitrate_bps": 100_000}},
            "camera.bitrate_bps",
            100_000,
            "a whole number from 250000 to 20000000",
        ),
        ({"camera": {"rotation": 45}}, "camera.rotation", 45, "0, 90, 180 or 270 (degrees)"),
        (
            {"camera": {"fps": 10, "night_fps": 15}},
            "camera.night_fps",
            15,
            "at most camera.fps = 10",
        ),
        (
            {"camera": {"flicker_hz": 55}},
            "camera.flicker_hz",
            55,
            "50 or 60 (the mains), or 0 for none",
        ),
        ({"log": {"policy": ""}}, "log.policy", "", "a policy file (c2sp.org/tlog-policy)"),
        ({"privacy": {"masks": [[[0, 0], [1, 0]]]}}, "privacy.masks", None, MASKS),
        ({"privacy": {"masks": [[[0, 0], [1, 0], [1, 1.1]]]}}, "privacy.masks", None, MASKS),
        ({"privacy": {"masks": [SQUARE] * 9}}, "privacy.masks", None, MASKS),
        ({"privacy": {"masks": [[[0, 0], [1, 0], [1, True]]]}}, "privacy.masks", None, MASKS),
        (
            {"motion": {"zone_names": ["path"]}},
            "motion.zone_names",
            ["path"],
            "one name for each of the 0 motion.zones, or none",
        ),
        (
            {"motion": {"zones": [SQUARE], "zone_names": [""]}},
            "motion.zone_names",
            None,
            "at most 8 names of at most 40 characters, one a zone",
        ),
        ({"motion": {"sensitivity": 11}}, "motion.sensitivity", 11, "a whole number from 1 to 10"),
        (
            {"motion": {"presence": "both"}},
            "motion.presence",
            "both",
            '"none" or "agree" or "either"',
        ),
        ({"clips": {"pre_roll_s": 31}}, "clips.pre_roll_s", 31.0, "a number from 0 to 30 seconds"),
        (
            {"clips": {"pre_roll_s": float("nan")}},
            "clips.pre_roll_s",
            None,
            "a number from 0 to 30 seconds",
        ),
        (
            {"clips": {"ring_max_bytes": 1_000_000}},
            "clips.ring_max_bytes",
            1_000_000,
            (
                "at least 3075000, to hold clips.pre_roll_s and the 4.3 s until motion is known, "
                "at camera.bitrate_bps"
            ),
        ),
        (
            {"clips": {"ring_max_bytes": 5_000_000}, "motion": {"min_time_s": 10.0}},
            "clips.ring_max_bytes",
            5_000_000,
            (
                "at least 5500000, to hold clips.pre_roll_s and the 14 s until motion is known, "
                "at camera.bitrate_bps"
            ),
        ),
        (
            {"clips": {"longest_s": 15, "post_roll_s": 20}},
            "clips.longest_s",
            15.0,
            "at least clips.post_roll_s = 20.0",
        ),
        ({"clips": {"keep_days": 181}}, "clips.keep_days", 181, "a whole number from 1 to 180"),
        (
            {"storage": {"key": "pkcs11"}},
            "storage.pkcs11_module",
            "",
            ('the token\'s library and label, because storage.key is "pkcs11"'),
        ),
        (
            {"storage": {"recovery_key": "x"}},
            "storage.recovery_key",
            "x",
            'the public key that `doorward recovery` prints, or ""',
        ),
        (
            {"panel": {"chime_ms": 501}},
            "panel.chime_ms",
            501,
            "a whole number from 0 (no chime) to 500 ms",
        ),
        ({"panel": {"light_percent": 0}}, "panel.light_percent", 0, "a whole number from 1 to 100"),
        (
            {"panel": {"control_socket": "s"}},
            "panel.control_socket",
            "s",
            '"", unless panel.pins is "mock"',
        ),
        (
            {"panel": {"pins": "mock", "control_socket": "s" * 108}},
            "panel.control_socket",
            None,
            "a path of at most 107 bytes (a Unix socket's limit)",
        ),
        (
            {"door": {"url": "http://localhost:8402/"}},
            "door.url",
            "http://localhost:8402/",
            "http(s)://host[:port] without a path",
        ),
        (
            {"door": {"url": "ftp://localhost"}},
            "door.url",
            "ftp://localhost",
            "http(s)://host[:port] without a path",
        ),
        ({"door": {"listen_host": "a b"}}, "door.listen_host", "a b", "an address or a host name"),
        (
            {"place": {"cell": "881f1d4f"}},
            "place.cell",
            "881f1d4f",
            'an H3 index of resolution 9, or ""',
        ),
        ({"place": {"is_opted_in": 1}}, "place.is_opted_in", 1, "true or false"),
        (
            {"place": {"is_opted_in": True}},
            "place.cell",
            "",
            "an H3 index, because place.is_opted_in is true",
        ),
        ({"data_dir": ""}, "data_dir", "", "a folder"),
        ({"data_dir": 5}, "data_dir", 5, "a folder"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_was_expected(
    table: dict, key: str, value: object, expected: str
) -> None:
    error = refusal(table)
    assert error.key == key
    assert value is None or error.value == value
    assert str(error) == f"{key} = {error.value!r}: expected {expected}"


@pytest.mark.parametrize(
    ("table", "key", "value", "sentence"),
    [
        ({"colour": "red"}, "colour", "red", "colour: no such key (expected one of the keys data_"),
        (
            {"camera": {"fsp": 30}},
            "camera.fsp",
            30,
            "camera.fsp: no such key; the nearest is camera.fps (expected one of the keys kind, ",
        ),
        (
            {"button": {"pins": "mock"}},
            "button",
            {"pins": "mock"},
            "[button]: no such table (expected one of the keys data_dir, claim_file, camera, ",
        ),
        (
            {"panel": {"bell_pin": 27}},
            "panel.bell_pin",
            27,
            "panel.bell_pin: no such key (expected one of the keys pins, pins_file, debounce_ms, ",
        ),
        (
            {"camra": {"fps": 30}},
            "camra",
            {"fps": 30},
            "[camra]: no such table; the nearest is [camera] (expected one of the keys data_dir, ",
        ),
        (
            {"clock": {"data_dir": "x"}},
            "clock.data_dir",
            "x",
            "clock.data_dir: no such key; the nearest is data_dir (expected one of the keys is_",
        ),
        (
            {"camera": {"pre_roll_s": 3}},
            "camera.pre_roll_s",
            3,
            "camera.pre_roll_s: no such key; the nearest is clips.pre_roll_s (expected one of ",
        ),
    ],
)
def test_an_unknown_key_or_table_names_the_nearest_known_one(
    table: dict, key: str, value: object, sentence: str
) -> None:
    error = refusal(table)
    assert (error.key, error.value) == (key, value)
    assert str(error).startswith(sentence)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_words_for_what_it_expects(key: str) -> None:
    table, _, last = key.rpartition(".")
    wrong = {last: date(2026, 11, 29)}  # no key takes a date
    error = refusal({table: wrong} if table else wrong)
    assert error.key == key
    assert str(error) == f"{key} = datetime.date(2026, 11, 29): expected {error.expected}"


@given(
    st.dictionaries(
        st.sampled_from([item.name for item in structs.fields(Config)]) | st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
            max_leaves=6,
        ),
    )
)
def test_whatever_the_file_says_the_answer_is_a_config_or_a_config_error(table: dict) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_config(table, Path("/x")), Config)


def test_a_whole_number_will_do_for_a_number() -> None:
    config = parse_config({"clips": {"pre_roll_s": 5}}, Path("/x"))
    assert config.clips.pre_roll_s == 5.0


def test_the_program_says_what_is_wrong_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text("[camera]\nfps = 900\n")
    assert main(["--config", str(path), "run"]) == 2
    assert re.search(r"camera\.fps = 900: expected .* 5 to 60", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "a readable file (No such file or directory)"),
        ("\n[camera\n", "a TOML file (Expected ']' at the end of a table declaration (at line 2, "),
        ("\xff", "a TOML file, which is text in UTF-8 (not so at line 1)"),
    ],
)
def test_a_file_that_is_no_toml_exits_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, expected: str
) -> None:
    path = tmp_path / "doorbell.toml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    assert main(["--config", str(path), "status"]) == 2
    assert f"--config = '{path}': expected {expected}" in capsys.readouterr().err


def test_status_tells_of_a_folder_without_a_doorbell_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text("")
    assert main(["--config", str(path), "status"]) == 0
    assert "no doorbell here yet" in capsys.readouterr().out
    assert [entry.name for entry in tmp_path.iterdir()] == ["doorbell.toml"]


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(command in text for command in ("enrol", "run", "status", "--config"))


def test_masks_and_zones_become_polygons() -> None:
    table = {"privacy": {"masks": [SQUARE]}, "motion": {"zones": [SQUARE], "zone_names": ["path"]}}
    config = parse_config(table, Path("/x"))
    assert config.privacy.masks == config.motion.zones == (((0, 0), (1, 0), (1, 1), (0, 1)),)
    assert config.motion.zone_names == ("path",)


def test_other_pins_and_the_tokens_pin_are_beside_the_file() -> None:
    table = {
        "panel": {"pins_file": "my-pins.toml"},
        "storage": {
            "key": "pkcs11",
            "pkcs11_module": "/lib/token.so",
            "pkcs11_token": "door",
            "pkcs11_pin_file": "pin",
        },
    }
    config = parse_config(table, Path("/x"))
    assert config.panel.pins_path == Path("/x/my-pins.toml")
    assert config.storage.pkcs11_pin_path == Path("/x/pin")
