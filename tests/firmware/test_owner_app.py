"""`doorward app`: the same app and headers, only on this machine, and known by its digest."""

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from firmware.companion.owner.app_server import build_app, listen, serve
from firmware.companion.owner.bundle import (
    Released,
    digest_of,
    find_bundle,
    listing_of,
    released_programs,
    version_in,
)
from firmware.companion.owner.cli import main
from firmware.companion.owner.errors import BundleRefused
from firmware.protocol.register.entries import ProgramReleased
from relay.web.app_server import build_app_server
from tests.fakes.clock import ManualClock
from tests.fakes.log_town import HOUR_MS, NOW_MS, make_town

RELAY = "https://relay.example"
APP = ProgramReleased(program="owner-app", version="1.2", sha256="a" * 64)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "views").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "views" / "a.js").write_text("export {};")
    return folder


def test_it_serves_what_the_relays_own_app_server_serves(bundle: Path) -> None:
    here = TestClient(build_app(RELAY, bundle=bundle), base_url="http://localhost:8420")
    there = TestClient(build_app_server(RELAY, bundle=bundle), base_url="http://localhost:8420")
    volatile = {"date", "vary"}  # the relay's packs what is large, this machine's needn't
    for path in ("/", "/views/a.js", "/config.json", "/missing"):
        one, other = here.get(path), there.get(path)
        assert one.status_code == other.status_code
        assert one.content == other.content
        assert {k: v for k, v in one.headers.items() if k not in volatile} == {
            k: v for k, v in other.headers.items() if k not in volatile
        }


def test_a_policy_that_was_given_is_told_to_the_app(bundle: Path) -> None:
    policy = {"digest": "ab" * 32, "register_origin": "example.town/register"}
    app = build_app(RELAY, bundle=bundle, policy=policy)
    told = TestClient(app, base_url="http://localhost:8420").get("/config.json").json()
    assert told == {"relay_url": RELAY, "policy": policy}


def test_another_machines_name_is_not_answered(bundle: Path) -> None:
    """A page elsewhere that points its own name here (DNS rebinding) gets nothing."""
    app = build_app(RELAY, bundle=bundle)
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 400


def loopback() -> list[tuple[str, socket.AddressFamily]]:
    """Return what "localhost" can mean on this machine; some have no IPv6."""
    addresses = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return addresses[:1]
    return addresses


LOOPBACK = loopback()


@contextmanager
def another_program(host: str, family: socket.AddressFamily) -> Iterator[int]:
    """Somebody else's program on this machine, at a port of localhost."""
    with socket.create_server((host, 0), family=family) as theirs:
        yield theirs.getsockname()[1]


@pytest.mark.parametrize(("host", "family"), LOOPBACK)
def test_it_does_not_start_beside_another_program_at_localhost(
    host: str, family: socket.AddressFamily
) -> None:
    """Seen to start beside one on ::1, which browsers take for localhost, while on IPv4 alone."""
    with another_program(host, family) as port:
        with pytest.raises(BundleRefused, match=rf"port {port} of localhost .*--port"):
            listen(port)
    for listener in listen(port):  # nothing of the first try is left
        listener.close()


async def test_it_is_served_on_every_address_of_localhost(bundle: Path) -> None:
    with another_program(*LOOPBACK[0]) as port:
        pass
    serving = asyncio.create_task(serve(build_app(RELAY, bundle=bundle), listen(port)))
    for host, family in LOOPBACK:
        with pytest.raises(OSError, match="in use"):
            socket.create_server((host, port), family=family)
        address = f"[{host}]" if ":" in host else host
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(
                f"http://{address}:{port}/", headers={"Host": f"localhost:{port}"}
            )
        assert answer.text == "<!doctype html>"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def test_the_digest_is_that_of_sha256sums_listing(bundle: Path) -> None:
    files = {"index.html": b"<!doctype html>", "views/a.js": b"export {};"}
    expected = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()
    )
    assert listing_of(bundle) == expected
    (bundle / "views" / "a.js").write_text("export {}; ")
    assert digest_of(listing_of(bundle)) != digest_of(expected)


def test_an_added_file_changes_the_digest(bundle: Path) -> None:
    before = digest_of(listing_of(bundle))
    (bundle / "views" / ".hidden.js").write_text("")
    assert digest_of(listing_of(bundle)) != before


def test_a_link_in_the_bundle_is_refused(bundle: Path) -> None:
    (bundle / "views" / "b.js").symlink_to("/etc/hostname")
    with pytest.raises(BundleRefused, match="link"):
        listing_of(bundle)


def test_only_an_app_that_the_register_knows_is_taken() -> None:
    firmware = ProgramReleased(program="firmware", version="9", sha256="b" * 64)
    released = Released(counting=(APP, firmware), young=(), age_ms=72 * HOUR_MS)
    assert version_in(released, "a" * 64) == "1.2"
    for digest in ("b" * 64, "c" * 64):
        with pytest.raises(BundleRefused, match=r"doesn't know this app .*newest is 1.2"):
            version_in(released, digest)


def test_an_old_app_with_its_known_faults_is_served_only_if_that_is_wanted() -> None:
    """Seen to count like the newest while only its digest was looked for."""
    newer = ProgramReleased(program="owner-app", version="1.3", sha256="d" * 64)
    firmware = ProgramReleased(program="firmware", version="9", sha256="b" * 64)
    released = Released(counting=(APP, newer, firmware), young=(), age_ms=72 * HOUR_MS)
    with pytest.raises(BundleRefused, match=r"newer app \(version 1.3\).*1.2\).*--old"):
        version_in(released, APP.sha256)
    assert version_in(released, APP.sha256, is_old_taken=True) == "1.2"
    assert version_in(released, newer.sha256) == "1.3"


def test_an_app_that_was_released_once_more_is_the_newest() -> None:
    newer = ProgramReleased(program="owner-app", version="1.3", sha256="d" * 64)
    released = Released(counting=(APP, newer, APP), young=(), age_ms=72 * HOUR_MS)
    assert version_in(released, APP.sha256) == "1.2"


def test_a_newer_app_that_does_not_count_yet_ends_no_older_one() -> None:
    newer = ProgramReleased(program="owner-app", version="1.3", sha256="d" * 64)
    released = Released(counting=(APP,), young=(newer,), age_ms=72 * HOUR_MS)
    assert version_in(released, APP.sha256) == "1.2"


def test_an_app_that_the_register_shows_too_lately_says_so() -> None:
    released = Released(counting=(), young=(APP,), age_ms=72 * HOUR_MS)
    with pytest.raises(BundleRefused, match=r"version 1.2.*for 72 hours"):
        version_in(released, "a" * 64)


@pytest.mark.parametrize(
    ("hours", "shown_hours", "counts"),
    [(0, 0, False), (71.9, 71.9, False), (72, 72, True), (72, 0, False)],
)
async def test_a_released_app_counts_once_witnesses_have_seen_it_for_three_days(
    tmp_path: Path, hours: float, shown_hours: float, counts: bool
) -> None:
    town = make_town()
    policy = tmp_path / "policy.txt"
    policy.write_bytes(town.policy_text)
    change = town.change(APP)
    town.wind(hours=hours - shown_hours)
    town.append(change)  # a relay may hold it back, and dates are its own: only witnesses count
    town.wind(hours=shown_hours)
    clock = ManualClock(wall_ms=town.now_ms)
    with town.served() as log_url:
        released = await released_programs(policy, log_url, clock=clock)
    # Seen to fail with the age taken out of firmware/companion/owner/bundle.py.
    assert (released.counting, released.young) == (((APP,), ()) if counts else ((), (APP,)))


async def test_the_register_is_read_and_checked_by_its_witnesses(tmp_path: Path) -> None:
    town, clock = make_town(), ManualClock(wall_ms=NOW_MS)
    policy = tmp_path / "policy.txt"
    policy.write_bytes(town.policy_text)
    town.append(town.change(APP))
    town.wind(hours=72)
    clock.advance(72 * 3600)
    with town.served() as log_url:
        assert (await released_programs(policy, log_url, clock=clock)).counting == (APP,)
        policy.write_bytes(make_town().policy_text)
        with pytest.raises(BundleRefused, match="can't be read"):
            await released_programs(policy, log_url, clock=clock)


async def test_an_app_released_by_one_person_is_not_known(tmp_path: Path) -> None:
    town, clock = make_town(), ManualClock(wall_ms=NOW_MS)
    policy = tmp_path / "policy.txt"
    policy.write_bytes(town.policy_text)
    town.append(town.change(APP, by=["ann"]))
    with town.served() as log_url:
        released = await released_programs(policy, log_url, clock=clock)
    assert (released.counting, released.young) == ((), ())


async def test_an_old_copy_of_the_register_is_refused(tmp_path: Path) -> None:
    town, clock = make_town(), ManualClock(wall_ms=NOW_MS + 3 * 3600 * 1000)
    policy = tmp_path / "policy.txt"
    policy.write_bytes(town.policy_text)
    with town.served() as log_url:
        with pytest.raises(BundleRefused, match="old copy"):
            await released_programs(policy, log_url, clock=clock)


def test_the_installed_app_is_found_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert (find_bundle() / "index.html").exists()
    assert main(["app", "--list"]) == 0
    assert "  index.html\n" in capsys.readouterr().out


def test_without_a_relay_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app"]) == 1
    assert "--relay" in capsys.readouterr().err
