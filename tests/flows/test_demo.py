"""The demo as a newcomer meets it: played once, started again, refused, left by Ctrl-C."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.flows.demo import Demo, refusal_of
from tests.story.api import ask_until, closing
from tests.story.officer import Officer
from tests.story.owner import Owner
from tests.story.steps import STEP_NAMES
from tests.story.town import AGENCY_ID

pytestmark = [pytest.mark.services, pytest.mark.slow]

STORY_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("d"))


@pytest.fixture(scope="module")
def first_story(demo: Demo) -> dict:
    process = demo.start("--once", "--json")
    stdout, _ = process.communicate(timeout=STORY_TIMEOUT_S)
    assert process.returncode == 0, demo.said.read_text()
    return json.loads(stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def staying(demo: Demo, first_story: dict) -> Iterator[Demo]:
    """The second start, on the data of the first, which stays up until the end of the module."""
    assert demo.processes() == []
    process = demo.start()
    try:
        demo.wait_until_said(process, "Ctrl-C", STORY_TIMEOUT_S)
        yield demo
    finally:
        exit_code = demo.press_ctrl_c(process)
        process.communicate()
    assert exit_code == 0, demo.said.read_text()
    assert demo.processes() == []
    assert demo.files_outside() == []


def test_plays_every_step_of_the_story(first_story: dict) -> None:
    assert first_story["ok"]
    assert tuple(step["name"] for step in first_story["steps"]) == STEP_NAMES
    assert all(step["ok"] for step in first_story["steps"])


def test_leaves_no_process_and_no_file_outside_its_data(demo: Demo, first_story: dict) -> None:
    assert demo.processes() == []
    assert demo.files_outside() == []


def test_second_start_finds_the_data_of_the_first_and_plays_again(staying: Demo) -> None:
    said = staying.said.read_text()
    assert "the data of an earlier start" in said


def test_two_at_once_on_one_folder_are_refused(staying: Demo) -> None:
    before = sorted(path.name for path in staying.data_dir.iterdir())
    code, said = refusal_of(*staying.arguments())
    assert code == 2
    assert "another demo is running on this folder" in said
    assert sorted(path.name for path in staying.data_dir.iterdir()) == before


async def test_a_newcomer_with_the_printed_invitation_becomes_an_owner(
    staying: Demo, tmp_path: Path
) -> None:
    invitation = _invitation(staying.said.read_text(), "join as owner")
    relay, app = (f"http://localhost:{staying.ports[name]}" for name in ("relay", "app"))
    nora = Owner(relay, app, tmp_path / "owner.json", "Nora")
    async with closing(nora):
        await nora.register(invitation)
        await nora.ask_to_join()
        doorbells = await ask_until("Nora has a doorbell", nora.doorbells, bool, timeout_s=15)
    assert len(doorbells) == 1


async def test_a_newcomer_officer_is_certified_by_the_agency(staying: Demo, tmp_path: Path) -> None:
    invitation = _invitation(staying.said.read_text(), "join as officer")
    relay = f"http://localhost:{staying.ports['relay']}"
    officer = Officer(relay, tmp_path / "officer.json", "Officer R. Quist", AGENCY_ID)
    async with closing(officer):
        await officer.register(invitation)
        state = await ask_until(
            "the officer is certified",
            lambda: officer.api.get(f"/agency/officers/{officer.officer_id}"),
            lambda told: bool(told["certificate"] == "valid"),
            timeout_s=15,
        )
    assert state["signed"] is not None


def test_a_port_in_use_is_named_by_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        code, said = refusal_of("--data", str(tmp_path / "d"), f"--mqtt-port={number}")
    assert code == 2
    assert f"--mqtt-port {number}" in said
    assert "in use" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--relay-port", "70000"], "--relay-port 70000: expected a port from 1 to 65535"),
        (["--video", "missing.mp4"], "--video missing.mp4: there is no such file"),
        (["--data", "/" + "x" * 120], "choose a shorter path"),
    ],
)
def test_a_bad_setting_is_refused_in_words(options: list[str], told: str, tmp_path: Path) -> None:
    data = [] if "--data" in options else ["--data", str(tmp_path / "d")]
    code, said = refusal_of(*data, *options)
    assert code == 2
    assert told in said


def test_a_folder_that_holds_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    code, said = refusal_of("--data", str(tmp_path))
    assert code == 2
    assert "isn't a demo's data" in said
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_ctrl_c_in_the_middle_ends_every_process(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    process = demo.start()
    demo.wait_until_said(process, "Starting on new data", 20)
    time.sleep(2.0)
    assert demo.processes() != []
    code = demo.press_ctrl_c(process)
    process.communicate()
    assert code == 1  # the story was not played to its end
    assert demo.processes() == []
    assert demo.files_outside() == []


def _invitation(said: str, title: str) -> str:
    found = re.search(rf"{title}\s+(\S+)", said)
    assert found is not None, said
    url = urlsplit(found.group(1))
    fields = parse_qs(url.query) or parse_qs(url.fragment.partition("?")[2] or url.fragment)
    return fields["invitation"][0]
