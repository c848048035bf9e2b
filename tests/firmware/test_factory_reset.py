"""A reset leaves nothing of the old doorbell, also if the power goes in the middle of it."""

import re
from pathlib import Path

import pytest

import firmware
from firmware.enrolment.keys import load_or_make_keys
from firmware.errors import StoreError
from firmware.system.factory_reset import (
    BESIDE,
    FILES,
    FOLDERS,
    KEYS,
    MARKER,
    MOVING,
    finish_wipe,
    order_wipe,
)
from firmware.system.factory_reset import remove_durably as remove

KEPT = {"doorbell.toml", "claim.json", "holiday.jpg"}
SOURCES = sorted(Path(firmware.__file__).parent.rglob("*.py"))


class PowerCut(BaseException):
    """Everything ends here."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a doorbell that has lived for a while."""
    for name in KEPT:
        (tmp_path / name).write_text(name)
    load_or_make_keys(tmp_path)
    (tmp_path / "storage.key").write_bytes(bytes(range(32)))
    for name in FILES:
        for end in BESIDE:
            (tmp_path / (name + end)).write_text("secret")
    for name in FOLDERS:
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "one.dwc").write_text("secret")
        (tmp_path / name / "deep" / "two.dwc").write_text("secret")
    return tmp_path


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - set(FOLDERS)


def test_nothing_stays_but_what_is_not_the_doorbells(folder: Path) -> None:
    order_wipe(folder)
    assert finish_wipe(folder)
    assert left(folder) == KEPT


def test_nothing_is_wiped_that_nobody_ordered(folder: Path) -> None:
    before = left(folder)
    assert not finish_wipe(folder)
    assert left(folder) == before


def test_a_reset_doorbell_has_a_new_identity(folder: Path) -> None:
    (folder / "enrolment.json").unlink()
    old = load_or_make_keys(folder).device
    order_wipe(folder)
    finish_wipe(folder)
    assert load_or_make_keys(folder).device != old


def test_the_key_that_seals_the_clips_goes_first(folder: Path) -> None:
    removed: list[str] = []
    order_wipe(folder)
    finish_wipe(folder, remove=lambda path: removed.append(path.name))
    assert removed[0] == "storage.key"
    assert removed.index("clips") > max(removed.index(key) for key in KEYS)


def test_a_key_is_spoilt_where_it_lies_before_its_name_is_gone(folder: Path) -> None:
    second_name = folder.parent / f"{folder.name}.key"
    second_name.hardlink_to(folder / "storage.key")
    remove(folder / "storage.key")
    assert len(second_name.read_bytes()) == 32
    assert second_name.read_bytes() != bytes(range(32))
    second_name.unlink()


def test_cut_off_at_any_moment_the_next_start_finishes_it(folder: Path) -> None:
    order_wipe(folder)
    cuts = 0
    while (folder / MARKER).exists():
        steps = 0

        def remove_one(path: Path) -> None:
            nonlocal steps
            if steps == 1:
                raise PowerCut
            steps += 1
            remove(path)

        try:
            finish_wipe(folder, remove=remove_one)
        except PowerCut:
            cuts += 1
        assert cuts < 200
    assert cuts > 20
    assert left(folder) == KEPT


def test_what_cannot_be_removed_is_named_and_the_rest_is_gone(folder: Path) -> None:
    def remove_but_clips(path: Path) -> None:
        if path.name == "clips":
            raise OSError(5, "Input/output error", str(path))
        remove(path)

    order_wipe(folder)
    with pytest.raises(StoreError, match=r"clips: can't be removed .*next start"):
        finish_wipe(folder, remove=remove_but_clips)
    assert left(folder) - KEPT == {MARKER, "clips/deep", "clips/deep/two.dwc", "clips/one.dwc"}
    assert finish_wipe(folder)
    assert left(folder) == KEPT


def test_clips_on_a_larger_disk_are_wiped_too(tmp_path: Path) -> None:
    data, disk = tmp_path / "data", tmp_path / "disk"
    data.mkdir()
    disk.mkdir()
    (disk / "one.dwc").write_text("secret")
    (data / "clips").symlink_to(disk)
    order_wipe(data)
    finish_wipe(data)
    assert list(disk.iterdir()) == []


def test_a_link_among_the_clips_leads_to_nothing_else(folder: Path) -> None:
    home = folder / "holiday"
    home.mkdir()
    (home / "beach.jpg").write_text("mine")
    (folder / "clips" / "link").symlink_to(home)
    order_wipe(folder)
    finish_wipe(folder)
    assert (home / "beach.jpg").read_text() == "mine"


def test_every_name_that_the_doorbell_uses_in_its_folder_is_on_the_list() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES)
    constants = dict(re.findall(r'^(\w+)\b[^=\n]*= "([^"\n]+)"$', text, re.MULTILINE))
    found = re.findall(r'data_dir\)? / (?:"([^"]+)"|([A-Z][A-Z_]+)\b)', text)
    names = {name or constants[constant] for name, constant in found}
    assert {"storage.key", "identity.key", "clips", "outbox.sqlite3"} <= names | {"storage.key"}
    assert names - {MARKER, MOVING} <= {*KEYS, *FOLDERS, *FILES}
