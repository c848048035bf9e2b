"""Open data on the theft map: imported whole as a layer of its own, or refused whole."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import h3
import pytest

from relay.__main__ import main
from relay.heatmap.errors import ImportRefused
from relay.heatmap.imports import MAX_BYTES, Imports, id_of, read_counts
from tests.relay.http_world import World, open_world
from tests.relay.theft_map import CENTRE, PLACES, households_report, publish

LAT, LON = h3.cell_to_latlng(CENTRE)
GOOD = f"lat,lon,month\n{LAT:.5f},{LON:.5f},2026-08\n"
NOW = "2026-09"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


async def add(world: World, path: Path, **changes: object) -> None:
    fields = {"name": "City data", "licence": "CC BY 4.0, the City", "least": 3, **changes}
    imports = Imports(world.database, world.clock, is_example=True)
    await imports.add(path, **fields)  # type: ignore[arg-type]


async def test_a_file_becomes_a_layer_beside_the_relays_own(world, tmp_path):
    text = "cell,month,count\n" + "".join(f"{CENTRE},2026-0{month},4\n" for month in (7, 8))
    await add(world, written(tmp_path, text + f"{PLACES[2]},2026-08,2\n"))
    await households_report(world, PLACES[1], 5)
    await publish(world)
    http = world.browser("")
    own = (await http.get("/theft-map.json")).text
    layer = (await http.get("/theft-map/imported/city-data.json")).json()
    assert CENTRE not in own
    assert (layer["first_month"], layer["last_month"]) == ("2026-07", "2026-08")
    assert [band["cells"] for band in layer["bands"]] == [[CENTRE], [], []]  # eight, and two
    page = (await http.get("/theft-map?layer=city-data")).text
    assert "CC BY 4.0, the City" in page
    assert "3–9" in page
    lines = (await http.get("/theft-map/imported/city-data.csv")).text.splitlines()
    assert len(lines) == 2
    await Imports(world.database, world.clock, is_example=True).remove("city-data")
    assert (await http.get("/theft-map/imported/city-data.json")).status_code == 404


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "header"),
        ("lat;lon;month\n", "header"),
        ("cell,month\n", "no line"),
        (GOOD + "=HYPERLINK(1),18.0,2026-08\n", "formula"),
        (GOOD + "59.3,@SUM(A1),2026-08\n", "formula"),
        (GOOD + "-cmd|' /C calc'!A0,18.0,2026-08\n", "formula"),
        (GOOD + "59.3,18.0,08/2026\n", "month is written as 2026-11"),
        (GOOD + "59.3,18.0,2026-13\n", "month is written as 2026-11"),
        (GOOD + "59.3,18.0,2026-10\n", "future"),
        (GOOD + "6580822,674032,2026-08\n", "another coordinate system"),
        (GOOD + "59.3,-181,2026-08\n", "another coordinate system"),
        (GOOD + '"59,3",18.0,2026-08\n', "lat is written as 59.3293"),
        (GOOD + "nan,18.0,2026-08\n", "lat is written as 59.3293"),
        (GOOD + "59.3,18.0\n", "3 values are expected"),
        (GOOD + '"59.3,18.0,2026-08\n', "no CSV"),
        (GOOD + f"{'5' * 50},18.0,2026-08\n", "longer than"),
        ("cell,month\n8908866025bffff,2026-08\n", "resolution 8"),
        (f"cell,month,count\n{CENTRE},2026-08,-5\n", "count is a number"),
        (f"cell,month,count\n{CENTRE},2026-08,0\n", "count is a number"),
    ],
)
async def test_a_wrong_line_refuses_the_whole_file_and_says_which(world, tmp_path, text, words):
    await add(world, written(tmp_path, GOOD * 1), least=1)
    before = (await world.browser("").get("/theft-map/imported/city-data.json")).content
    path = written(tmp_path, text)
    with pytest.raises(ImportRefused, match=words):
        read_counts(path, now=NOW)
    with pytest.raises(ImportRefused):
        await add(world, path)
    after = (await world.browser("").get("/theft-map/imported/city-data.json")).content
    assert before == after


def test_a_file_of_100_mb_is_refused_unread(tmp_path):
    path = tmp_path / "data.csv"
    path.touch()
    os.truncate(path, 100 * 1024 * 1024)
    with pytest.raises(ImportRefused, match=f"at most {MAX_BYTES // 1024 // 1024} MiB"):
        read_counts(path, now=NOW)


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(ImportRefused, match="No such file"):
        read_counts(tmp_path / "none.csv", now=NOW)
    path = tmp_path / "data.csv"
    path.write_bytes(b"cell,month\n\xff\xfe\n")
    with pytest.raises(ImportRefused, match="UTF-8"):
        read_counts(path, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [{"name": "…"}, {"name": "a\nb"}, {"licence": ""}, {"least": 0}, {"least": 1001}],
)
async def test_name_licence_and_threshold_are_checked(world, tmp_path, changes):
    with pytest.raises(ImportRefused, match="--"):
        await add(world, written(tmp_path, GOOD), **changes)


def test_a_layers_id_comes_from_its_name():
    assert id_of("Polisen, Öst 2026") == "polisen-st-2026"
    assert id_of("A" * 80) == "a" * 40


def test_the_command_imports_removes_and_says_what_is_wrong(tmp_path, capsys):
    config = tmp_path / "relay" / "relay.toml"
    assert main(["init", "--data", str(config.parent)]) == 0
    path = written(tmp_path, GOOD)
    options = ["--name", "City data", "--licence", "CC0", "--threshold", "1"]
    command = ["heatmap", "import", str(path), *options, "--config", str(config)]
    capsys.readouterr()
    assert main(command) == 0
    assert "City data: 2026-08 to 2026-08, cells shown: 1" in capsys.readouterr().out
    path.write_text(GOOD + "59.3,18.0,1999\n")
    assert main(command) == 1
    assert "line 3: month is written as 2026-11, not '1999'" in capsys.readouterr().err
    assert main(["heatmap", "remove", "city-data", "--config", str(config)]) == 0
    assert main(["heatmap", "remove", "city-data", "--config", str(config)]) == 1
