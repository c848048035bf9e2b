"""The demo as a newcomer meets it: played once, started again, refused, left by Ctrl-C."""

import asyncio
import json
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.fakes.waiting import PATIENCE_S
from tests.flows.browser import chromium, loading, window
from tests.flows.demo import ALONE, Demo, refusal_of
from tests.flows.people import fill_in_request
from tests.story.children import Children
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, REPOSITORY, Ports, Settings, free_ports
from tests.story.steps import TOWN_STEPS

pytestmark = [pytest.mark.services, pytest.mark.slow]

STORY_TIMEOUT_S = 480


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("d"))
    yield demo
    demo.end()


@pytest.fixture
def own_demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    demo.end()


@pytest.fixture(scope="module")
def is_alone() -> bool:
    """Tell whether a network namespace can be made, which has loopback only."""
    return subprocess.run([*ALONE, "ip link set lo up"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def first_story(demo: Demo, is_alone: bool) -> dict:
    process = demo.start("--once", "--json", is_alone=is_alone)
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


def test_the_store_takes_no_port_that_is_meant_for_another(tmp_path: Path) -> None:
    told = free_ports(len(PORT_NAMES))
    settings = Settings(
        data_dir=tmp_path,
        ports=Ports(**dict(zip(PORT_NAMES, told, strict=True))),
        video=None,
        is_once=True,
        is_json=False,
    )
    own = tmp_path / "store-ports.json"
    for remembered in (None, [*told[:3], *free_ports(4)]):
        if remembered is not None:  # of a start with other settings
            own.write_text(json.dumps(remembered))
        Servers(settings, Children(tmp_path))
        chosen = set(json.loads(own.read_text()))
        assert len(chosen) == 7
        assert not chosen & set(told)


def test_plays_every_step_of_the_story(first_story: dict) -> None:
    assert first_story["ok"]
    assert tuple(step["name"] for step in first_story["steps"]) == TOWN_STEPS
    assert all(step["ok"] for step in first_story["steps"])


def test_the_story_plays_with_only_loopback_up(first_story: dict, is_alone: bool) -> None:
    if not is_alone:
        pytest.skip("this machine lets nobody make a network namespace (unshare)")
    assert first_story["ok"]


def test_leaves_no_process_and_no_file_outside_its_data(demo: Demo, first_story: dict) -> None:
    assert demo.processes() == []
    assert demo.files_outside() == []


def test_second_start_finds_the_data_of_the_first_and_plays_again(staying: Demo) -> None:
    said = staying.said.read_text()
    assert "the data of an earlier start" in said


def test_a_town_that_has_people_is_not_begun_empty(
    tmp_path: Path, first_story: dict, demo: Demo
) -> None:
    own = Demo(tmp_path)
    own.data_dir.mkdir()
    (own.data_dir / "town.json").write_bytes((demo.data_dir / "town.json").read_bytes())
    code, said = refusal_of(*own.arguments(), "--empty")
    assert code == 2
    assert "--empty: the town in" in said


def test_two_at_once_on_one_folder_are_refused(staying: Demo) -> None:
    before = sorted(path.name for path in staying.data_dir.iterdir())
    code, said = refusal_of(*staying.arguments())
    assert code == 2
    assert "another demo is running on this folder" in said
    assert sorted(path.name for path in staying.data_dir.iterdir()) == before


def test_a_killed_relay_is_started_again_and_the_demo_goes_on(staying: Demo) -> None:
    staying.kill("doorward-relay serve")
    deadline_s = time.monotonic() + PATIENCE_S
    while "relay is up again" not in staying.said.read_text():
        assert time.monotonic() < deadline_s, staying.said.read_text()
        time.sleep(0.1)
    health = f"http://127.0.0.1:{staying.ports['relay']}/healthz"
    assert httpx2.get(health, timeout=PATIENCE_S).status_code == 200


@pytest.mark.browser
async def test_a_newcomer_without_authenticator_becomes_an_owner_by_a_demo_passkey(
    staying: Demo,
) -> None:
    url = _invitation(staying.said.read_text(), "join as owner")
    async with chromium() as browser:
        page = await window(browser)
        await page.goto(url)
        await page.fill("#name", "Nora")
        await page.click("#demo-passkey")
        await page.click("#start-ask")
        await page.click("#ask")
        await expect(page.locator("#ask-words [data-place] button")).to_have_count(4)
        await page.click("#to-door")  # let in by the story's owner
        await page.click("#see")
        await page.wait_for_selector("video#live[data-first-frame-ms]")


@pytest.mark.browser
async def test_a_newcomer_officer_with_a_demo_passkey_is_certified_and_asks(
    staying: Demo,
) -> None:
    url = _invitation(staying.said.read_text(), "join as officer")
    async with chromium() as browser:
        page = await window(browser)
        await page.goto(url)
        await page.fill("#name", "Officer R. Quist")
        await page.check("#demo-passkey")
        await page.click("#add-passkey")
        await page.wait_for_selector("#joined:not([hidden])")
        relay = url.partition("/agency")[0]
        await until_it_says(page, f"{relay}/agency", "#no-certificate[data-state=waiting]")
        await until_it_says(page, f"{relay}/town", "#waiting tr[data-kind=officer]")
        for _ in range(3):
            async with loading(page):
                await page.click("#wind button[value=day]")
        await expect(page.locator("#waiting tr[data-kind=officer]")).to_have_count(0)
        await page.goto(f"{relay}/agency")
        await page.check("#demo-passkey")
        async with loading(page):
            await page.click("#sign-in")
        await page.wait_for_selector("#sign-out")
        await page.goto(f"{relay}/agency/requests/new")
        await fill_in_request(page)
        await page.click("#publish")
        await page.wait_for_url(lambda told: not told.endswith("/new"))
        asked = page.url
        await until_it_says(page, asked, "#standing[data-state=passed]")  # co-signed, and read
        await page.goto(f"{relay}/town")
        async with loading(page):
            await page.click("#wind button[value=batch]")
        await until_it_says(page, asked, "#standing[data-state=open]")


async def until_it_says(page: Page, url: str, selector: str, timeout_s: float = 60.0) -> None:
    """Load a page again and again until it has this."""
    deadline_s = time.monotonic() + timeout_s
    while not await page.locator(selector).count():
        assert time.monotonic() < deadline_s, f"{url} has no {selector}"
        await asyncio.sleep(0.5)
        await page.goto(url)


def test_the_commands_that_it_prints_check_its_logs_and_its_evidence(staying: Demo) -> None:
    said = staying.said.read_text()
    for title, code, holds in (("check both", 0, ""), ("check the evidence", 3, "result 3")):
        found = re.search(rf"{title}\s+(\S.*)", said)
        assert found is not None, said
        ran = subprocess.run(
            shlex.split(found[1]), cwd=REPOSITORY, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert holds in ran.stdout  # a doorbell of some minutes can't show a day
        assert "not checked  " not in ran.stdout


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


def test_an_empty_town_has_a_doorbell_and_nobody_else(own_demo: Demo) -> None:
    process = own_demo.start("--empty")
    said = own_demo.wait_until_said(process, "Ctrl-C", STORY_TIMEOUT_S)
    assert "two administrators" in said
    assert "join as officer" not in said
    assert "for-agencies" in said
    code = own_demo.press_ctrl_c(process)
    process.communicate()
    assert code == 0
    assert own_demo.processes() == []


def test_ctrl_c_in_the_middle_ends_every_process(own_demo: Demo) -> None:
    demo = own_demo
    process = demo.start()
    demo.wait_until_said(process, "Starting on new data", STORY_TIMEOUT_S)
    deadline_s = time.monotonic() + PATIENCE_S
    while not demo.processes():
        assert time.monotonic() < deadline_s, demo.said.read_text()
        time.sleep(0.1)
    time.sleep(2.0)
    assert demo.processes() != []
    code = demo.press_ctrl_c(process)
    said = process.communicate()
    assert code == 1  # the story was not played to its end
    assert demo.processes() == [], said
    assert demo.files_outside() == []


def _invitation(said: str, title: str) -> str:
    found = re.search(rf"{title}\s+(\S+)", said)
    assert found is not None, said
    return found.group(1)
