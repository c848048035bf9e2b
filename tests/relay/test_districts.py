"""The operator's file of districts: read strictly, and refused with what to change."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError
from relay.map.districts import MAX_FILE_BYTES, load_districts
from tests.story.town import DISTRICTS

GOOD: dict[str, Any] = {
    "id": "lake-morton",
    "name": "Lake Morton",
    "addresses": 2140,
    "cells": ["88441a5ac7fffff"],
}
OTHER = GOOD | {"id": "dixieland", "cells": ["88441a5ac5fffff"]}


def written(folder: Path, *districts: object) -> Path:
    path = folder / "districts.json"
    path.write_text(json.dumps({"districts": districts}))
    return path


def test_no_file_is_no_districts():
    assert len(load_districts(None)) == 0


def test_districts_are_found_by_id_and_by_cell_in_the_order_of_their_names(tmp_path):
    found = load_districts(written(tmp_path, GOOD, OTHER | {"name": "Dixieland"}))
    assert [one.id for one in found] == ["dixieland", "lake-morton"]
    at = found.at("88441a5ac7fffff")
    assert at is not None
    assert at == found.find("lake-morton")
    assert found.at("88441a5ac1fffff") is found.find("nowhere") is None


def test_the_demos_own_districts_are_such(tmp_path):
    fields = ("id", "name", "addresses", "cells")
    told = [dict(zip(fields, one, strict=True)) for one in DISTRICTS]
    assert len(load_districts(written(tmp_path, *told))) == len(DISTRICTS)


@pytest.mark.parametrize(
    ("districts", "told"),
    [
        ([GOOD | {"addresses": 999}], "merge lake-morton, which has 999, with a neighbour"),
        ([GOOD, OTHER | {"cells": GOOD["cells"]}], "88441a5ac7fffff is in lake-morton and in"),
        ([GOOD, GOOD], "two districts are called lake-morton"),
        ([GOOD | {"cells": GOOD["cells"] * 2}], "names one twice"),
        ([GOOD | {"cells": ["89441a5ac73ffff"]}], "resolution 8: 89441a5ac73ffff in lake-morton"),
        ([GOOD | {"cells": ["fffffffffffffff"]}], "resolution 8: fffffffffffffff"),
        ([GOOD | {"cells": ["88441A5AC7FFFFF"]}], "districts"),
        ([GOOD | {"cells": []}], "districts"),
        ([GOOD | {"id": "Lake Morton"}], "districts"),
        ([GOOD | {"name": "\u202eLake"}], "districts"),
        ([GOOD | {"addresses": "2140"}], "districts"),
        ([GOOD | {"centre": [28, -81]}], "centre"),
        ([["lake-morton"]], "districts"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path, districts, told):
    with pytest.raises(ConfigError, match=r"map\.districts") as refused:
        load_districts(written(tmp_path, *districts))
    assert told in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"districts": null}', "\ufeff{}", "[" * 100_000])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "districts.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_districts(path)


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        load_districts(tmp_path / "nowhere.json")
    (tmp_path / "large.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="at most"):
        load_districts(tmp_path / "large.json")
