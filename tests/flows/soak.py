"""The demo with six weeks behind it (`make soak`): what they leave on the public pages.

And on a machine four times slower, with its relay killed in the middle.
"""

import json
import re
from pathlib import Path

import httpx2

from firmware.protocol.encoding import sha256_hex
from tests.flows.demo import Demo

STORY_TIMEOUT_S = 400.0
SLOW_TIMEOUT_S = 1200.0


def test_the_town_has_six_weeks_behind_it(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    process = demo.start()
    try:
        demo.wait_until_said(process, "Ctrl-C", STORY_TIMEOUT_S)
        look_at(demo)
        assert demo.press_ctrl_c(process) == 0
        process.communicate()
    finally:
        demo.end()


def test_the_story_holds_on_a_machine_four_times_slower_whose_relay_is_killed(
    tmp_path: Path,
) -> None:
    demo = Demo(tmp_path)
    process = demo.start("--six-weeks", "--once", "--json")
    try:
        with demo.slowed(4):
            demo.wait_until_said(process, "requested", SLOW_TIMEOUT_S)
            demo.kill("doorward-relay serve")
            stdout, _ = process.communicate(timeout=SLOW_TIMEOUT_S)
        assert process.returncode == 0, demo.said.read_text()
        assert json.loads(stdout.splitlines()[-1])["ok"]
        assert "relay is up again" in demo.said.read_text()
    finally:
        demo.end()


def look_at(staying: Demo) -> None:
    """Fail unless a staying demo has all that six weeks leave behind."""
    said = staying.said.read_text()
    found = re.search(r"the theft map +(\S+)/theft-map", said)
    assert found is not None, said
    with httpx2.Client(base_url=found[1], trust_env=False) as http:
        posts = http.get("/api/v1/feed/posts").json()["posts"]
        trends = http.get("/trends.json").json()["months"]
        theft_map = http.get("/theft-map.json").json()
        first_page = http.get("/").text
        ledger = http.get("/credits/ledger.csv").text
    assert {one["by"] for one in posts} == {"neighbour", "agency", "relay"}
    assert any(one["pictures"] for one in posts)
    assert sum(one["requests"] for one in trends) >= 10
    assert sum(one["outcomes_not_used"] for one in trends) >= 6
    assert sum(one["refused_by_moderators"] for one in trends) == 2
    last_two, _ = theft_map["layers"]
    assert len(last_two["months"]) == 2
    assert [len(band["cells"]) for band in last_two["bands"]] == [1, 1, 1]  # one cell is blank
    assert "asked owners" in first_page.split('id="lately">')[1].split("</p>")[0]
    receipt = staying.data_dir / "people" / "receipt.txt"
    assert sha256_hex(receipt.read_bytes()) in ledger
    assert f"{found[1]}/admin/feed" in said
