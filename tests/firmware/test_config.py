"""firmware.config: the example explains every key, and wrong settings are named."""

import contextlib
import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firmware
from firmware.__main__ import main
from firmware.config import Config, load_config, parse_config
from firmware.errors import ConfigError

EXAMPLE = Path(firmware.__file__).with_name("doorbell.example.toml")

NAMES = [
    inner.name
    for item in dataclasses.fields(Config)
    if item.default is dataclasses.MISSING
    for inner in dataclasses.fields(item.type)
]

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def refusal(table: dict) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(table, Path("/home/doorbell"))
    return caught.value


def every_key() -> set[tuple[str, str]]:
    keys = set()
    for item in dataclasses.fields(Config):
        if item.default is dataclasses.MISSING:
            keys |= {(item.name, inner.name) for inner in dataclasses.fields(item.type)}
        else:
            keys.add(("", item.name))
    return keys


def test_the_example_holds_every_key_and_its_default() -> None:
    table = tomllib.loads(EXAMPLE.read_text("utf-8"))
    named = {
        (key, inner) if isinstance(value, dict) else ("", key)
        for key, value in table.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert named == every_key()
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


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text('data_dir = "data"\n[camera]\nfile = "door.mp4"\n[panel]\npins = "mock"\n')
    config = load_config(path)
    assert config.data_dir == tmp_path / "data"
    assert config.claim_file == tmp_path / "claim.json"
    assert config.camera.file == str(tmp_path / "door.mp4")
    assert config.panel.control_socket == str(tmp_path / "data" / "control.sock")
    assert config.log.policy_path == tmp_path / "policy.txt"


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ({"colour": "red"}, "colour", "red"),
        ({"camera": {"fsp": 30}}, "camera.fsp", 30),
        ({"camera": 3}, "camera", 3),
        ({"camera": {"fps": "30"}}, "camera.fps", "30"),
        ({"camera": {"fps": True}}, "camera.fps", True),
        ({"camera": {"fps": 30.5}}, "camera.fps", 30.5),
        ({"camera": {"fps": 0}}, "camera.fps", 0),
        ({"camera": {"width": 641}}, "camera.width", 641),
        ({"camera": {"kind": "film"}}, "camera.kind", "film"),
        ({"camera": {"bitrate_bps": 100_000}}, "camera.bitrate_bps", 100_000),
        ({"camera": {"rotation": 90}}, "camera.rotation", 90),
        ({"camera": {"fps": 10, "night_fps": 15}}, "camera.night_fps", 15),
        ({"camera": {"flicker_hz": 55}}, "camera.flicker_hz", 55),
        ({"log": {"policy": ""}}, "log.policy", ""),
        ({"privacy": {"masks": [[[0, 0], [1, 0]]]}}, "privacy.masks", None),
        ({"privacy": {"masks": [[[0, 0], [1, 0], [1, 1.1]]]}}, "privacy.masks", None),
        ({"privacy": {"masks": [SQUARE] * 9}}, "privacy.masks", None),
        ({"privacy": {"masks": [[[0, 0], [1, 0], [1, True]]]}}, "privacy.masks", None),
        ({"motion": {"zone_names": ["path"]}}, "motion.zone_names", ["path"]),
        ({"motion": {"zones": [SQUARE], "zone_names": [""]}}, "motion.zone_names", None),
        ({"motion": {"sensitivity": 11}}, "motion.sensitivity", 11),
        ({"motion": {"presence": "both"}}, "motion.presence", "both"),
        ({"clips": {"pre_roll_s": 31}}, "clips.pre_roll_s", 31.0),
        ({"clips": {"pre_roll_s": float("nan")}}, "clips.pre_roll_s", None),
        ({"clips": {"ring_max_bytes": 1_000_000}}, "clips.ring_max_bytes", 1_000_000),
        (
            {"clips": {"ring_max_bytes": 4_000_000}, "motion": {"min_time_s": 10.0}},
            "clips.ring_max_bytes",
            4_000_000,
        ),
        ({"clips": {"longest_s": 15, "post_roll_s": 20}}, "clips.longest_s", 15.0),
        ({"clips": {"keep_days": 181}}, "clips.keep_days", 181),
        ({"storage": {"key": "pkcs11"}}, "storage.pkcs11_module", ""),
        ({"storage": {"recovery_key": "x"}}, "storage.recovery_key", "x"),
        ({"button": {"pins": "mock"}}, "button", {"pins": "mock"}),
        ({"panel": {"bell_pin": 27}}, "panel.bell_pin", 27),
        ({"panel": {"chime_ms": 501}}, "panel.chime_ms", 501),
        ({"panel": {"light_percent": 0}}, "panel.light_percent", 0),
        ({"panel": {"control_socket": "s"}}, "panel.control_socket", "s"),
        ({"panel": {"pins": "mock", "control_socket": "s" * 108}}, "panel.control_socket", None),
        ({"door": {"url": "http://localhost:8402/"}}, "door.url", "http://localhost:8402/"),
        ({"door": {"url": "ftp://localhost"}}, "door.url", "ftp://localhost"),
        ({"door": {"listen_host": "a b"}}, "door.listen_host", "a b"),
        ({"place": {"cell": "881f1d4f"}}, "place.cell", "881f1d4f"),
        ({"place": {"is_opted_in": 1}}, "place.is_opted_in", 1),
        ({"place": {"is_opted_in": True}}, "place.cell", ""),
        ({"data_dir": ""}, "data_dir", ""),
        ({"data_dir": 5}, "data_dir", 5),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_was_expected(
    table: dict, key: str, value: object
) -> None:
    error = refusal(table)
    assert error.key == key
    assert value is None or error.value == value
    assert error.expected
    assert error.expected in str(error)


@given(
    st.dictionaries(
        st.sampled_from([item.name for item in dataclasses.fields(Config)]) | st.text(max_size=8),
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


@pytest.mark.parametrize("content", [None, "[camera\n", "\xff"])
def test_a_file_that_is_no_toml_exits_with_2(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "doorbell.toml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    assert main(["--config", str(path), "status"]) == 2


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
    assert config.panel.pins_file == "/x/my-pins.toml"
    assert config.storage.pkcs11_pin_file == "/x/pin"
