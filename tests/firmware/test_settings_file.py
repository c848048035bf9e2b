"""firmware.protocol.settings_file: what tables, rows and paths become, and which fault is named."""

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct, field

from firmware.protocol.settings_file import (
    SECRET,
    Parsed,
    SettingFault,
    decode,
    keys_of,
    read_toml,
)

SIZE = Meta(ge=1, le=9, description="a whole number from 1 to 9")
FOLDER = Path("/srv")


def _path(value: object) -> Path:
    if not isinstance(value, str):
        raise TypeError(value)
    return Path(value)


class Tap(Struct, frozen=True, kw_only=True):
    size: Annotated[int, SIZE]
    is_open: bool = False


class House(Struct, frozen=True, kw_only=True):
    key_path: Annotated[Path, Parsed(_path, "a file")] = field(name="key", default=Path("key"))
    tap: Tap
    spare: Tap | None = None
    taps: tuple[Tap, ...] = ()
    note: Annotated[str | None, Meta(description="a text")] = None
    code: Annotated[int, SIZE, SECRET] = 1


class Wrong(Struct, frozen=True, kw_only=True):
    wordless: Annotated[int, Meta(ge=1)] = 1
    senseless: Annotated[int | None, Meta(pattern="x", description="x")] = None


def fault(document: dict[str, object]) -> str:
    with pytest.raises(SettingFault) as caught:
        decode(House, document, folder=FOLDER)
    return str(caught.value)


def test_a_table_that_is_left_out_has_its_defaults_and_absolute_paths() -> None:
    assert decode(House, {"tap": {"size": 2}}, folder=FOLDER) == House(
        key_path=Path("/srv/key"), tap=Tap(size=2)
    )


def test_tables_rows_and_paths_are_decoded() -> None:
    document: dict[str, object] = {
        "key": "/etc/key",
        "tap": {"size": 2, "is_open": True},
        "spare": {"size": 3},
        "taps": [{"size": 4}, {"size": 5}],
        "note": "",
    }
    assert decode(House, document, folder=FOLDER) == House(
        key_path=Path("/etc/key"),
        tap=Tap(size=2, is_open=True),
        spare=Tap(size=3),
        taps=(Tap(size=4), Tap(size=5)),
        note=None,
    )


def test_unknown_keys_are_found_before_wrong_values_and_these_before_missing_keys() -> None:
    document: dict[str, object] = {"code": 10, "tapp": {}}
    assert fault(document).startswith("[tapp]: no such table; the nearest is [tap] ")
    del document["tapp"]
    assert fault(document) == "code = '(hidden)': expected a whole number from 1 to 9"
    del document["code"]
    assert fault(document) == "[tap] is missing: expected a table [tap]"
    document["tap"] = {}
    assert fault(document) == "tap.size is missing: expected a whole number from 1 to 9"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("tap", [], "tap is a list: expected a table [tap]"),
        ("tap", 3, "tap = 3: expected a table [tap]"),
        ("taps", {"size": 3}, "taps is a table: expected [[taps]] tables"),
        ("taps", [3], "taps is a list: expected [[taps]] tables"),
        ("taps", [{"size": 0}], "taps.size = 0: expected a whole number from 1 to 9"),
        ("note", 3, "note = 3: expected a text"),
        ("key", 3, "key = 3: expected a file"),
        ("tap", {"size": 1, "is_open": 1}, "tap.is_open = 1: expected true or false"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object, sentence: str) -> None:
    assert fault({"tap": {"size": 1}, key: value}) == sentence


def test_every_key_is_listed_with_its_table() -> None:
    assert [key for key, _ in keys_of(House)] == [
        *("key", "tap.size", "tap.is_open", "spare.size", "spare.is_open"),
        *("taps.size", "taps.is_open", "note", "code"),
    ]


@pytest.mark.parametrize("document", [{"wordless": 0}, {"senseless": 1}])
def test_a_struct_with_a_wrong_type_is_a_fault_of_ours_and_not_of_the_file(
    document: dict[str, object],
) -> None:
    with pytest.raises(TypeError):
        decode(Wrong, document, folder=FOLDER)


def test_a_file_that_cannot_be_read_is_named_with_the_hint(tmp_path: Path) -> None:
    with pytest.raises(SettingFault, match=r"\(Is a directory\); look elsewhere$"):
        read_toml(tmp_path, hint="; look elsewhere")
