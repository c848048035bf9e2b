"""firmware.system.systemd, firmware.system.supervision and the units in provisioning/systemd."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import IO

import pytest

from firmware.config.loader import parse_config
from firmware.protocol.claims import Claim
from firmware.system.supervision import EXIT_GIVEN_UP, Heartbeat, LastResort, OneAtATime, Watchdog
from firmware.system.systemd import REBOOT_WANTED, ServiceManager
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import PATIENCE_S, eventually

UNITS = Path(__file__).resolve().parents[2] / "provisioning/systemd"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't installed"
)


@pytest.fixture(params=["file", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """What systemd listens on, and how it names that."""
    taking = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    taking.setblocking(False)
    if request.param == "file":
        address = name = str(tmp_path / "notify")
    else:
        name = f"@doorward-test-{os.getpid()}"
        address = "\0" + name[1:]
    taking.bind(address)
    yield name, taking
    taking.close()


def manager_of(name: str, **environment: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": name, **environment}, pid=os.getpid())


def told(taking: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(taking.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_systemd_is_told_in_its_own_words(listener: tuple[str, socket.socket]) -> None:
    name, taking = listener
    manager = manager_of(name)
    manager.ready()
    manager.status("waits for\nthe relay")
    manager.alive()
    manager.stopping()
    assert told(taking) == ["READY=1", "STATUS=waits for the relay", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    for manager in (ServiceManager({}, pid=1), manager_of(str(tmp_path / "nobody"))):
        manager.ready()
        assert manager.watchdog_s is None
        assert not manager.ask_for_reboot()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time_is_read_if_it_is_ours(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    assert ServiceManager(environment, pid=os.getpid()).watchdog_s == watchdog_s


def test_a_restart_of_the_board_that_cannot_be_asked_for_is_no_fault_of_the_camera(
    tmp_path: Path,
) -> None:
    assert not manager_of("", RUNTIME_DIRECTORY=str(tmp_path / "gone")).ask_for_reboot()


def test_a_restart_of_the_board_is_asked_for_by_a_file(tmp_path: Path) -> None:
    assert manager_of("", RUNTIME_DIRECTORY=f"{tmp_path}:/elsewhere").ask_for_reboot()
    assert (tmp_path / REBOOT_WANTED).exists()


class Part:
    """Implements `firmware.system.supervision.Vital`."""

    since_s = 0.0

    def stuck_s(self) -> float:
        return self.since_s


async def test_the_watchdog_is_fed_twice_in_its_time_until_a_part_is_stuck(
    listener: tuple[str, socket.socket],
) -> None:
    name, taking = listener
    writer = Part()
    watchdog = Watchdog(manager_of(name, WATCHDOG_USEC="100000"), stuck_after_s=20)
    watchdog.watch("writer", writer)
    watchdog.watch("camera", Part())
    task = asyncio.create_task(watchdog.run())
    began_s, fed = time.monotonic(), []
    await eventually(lambda: fed.extend(told(taking)) or len(fed) >= 5)
    assert time.monotonic() - began_s > 0.15  # half of its time each
    writer.since_s = 20.1
    assert watchdog.stuck() == ["writer"]
    await asyncio.sleep(0.06)
    told(taking)
    await asyncio.sleep(0.2)
    assert told(taking) == []
    writer.since_s = 0.0
    async with asyncio.timeout(PATIENCE_S):
        while not told(taking):  # noqa: ASYNC110 - a socket of another process in real life
            await asyncio.sleep(0.01)
    task.cancel()


async def test_a_loop_that_stands_still_feeds_no_watchdog(
    listener: tuple[str, socket.socket],
) -> None:
    name, taking = listener
    task = asyncio.create_task(Watchdog(manager_of(name, WATCHDOG_USEC="60000")).run())
    await asyncio.sleep(0.05)
    told(taking)
    time.sleep(0.3)  # noqa: ASYNC251 - this is what stands still
    assert told(taking) == []
    task.cancel()


def test_a_part_is_stuck_for_as_long_as_it_doesnt_beat() -> None:
    clock = ManualClock()
    heartbeat = Heartbeat(clock)
    clock.advance(30)
    assert heartbeat.stuck_s() == 30
    heartbeat.beat()
    assert heartbeat.stuck_s() == 0


async def test_giving_up_ends_in_good_order_and_with_a_code_of_its_own() -> None:
    stop = asyncio.Event()
    ended: list[int] = []
    last_resort = LastResort(stop, manager_of(""), grace_s=30, end=ended.append)
    assert last_resort.exit_code == 0
    last_resort.give_up("the camera stays frozen")
    assert stop.is_set()
    assert last_resort.exit_code == EXIT_GIVEN_UP
    assert ended == []


def test_a_process_that_cant_end_is_ended_after_its_grace() -> None:
    program = textwrap.dedent("""
        import asyncio, threading, time
        from firmware.system.supervision import LastResort
        from firmware.system.systemd import ServiceManager
        async def main():
            stop = asyncio.Event()
            LastResort(stop, ServiceManager({}, pid=1), grace_s=0.2).give_up("a driver hangs")
            await asyncio.to_thread(time.sleep, 60)
        asyncio.run(main())
    """)
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == EXIT_GIVEN_UP
    assert time.monotonic() - began_s < 45


async def test_a_job_that_is_asked_for_while_it_runs_runs_once_more_afterwards() -> None:
    """Else the settings that were changed in between would never be read."""
    may_go_on = asyncio.Event()
    settings, read = ["old"], []

    async def reload() -> None:
        read.append(settings[0])
        await may_go_on.wait()

    reloading = OneAtATime(reload, name="reload")
    reloading.ask()
    await asyncio.sleep(0)
    settings[0] = "new"
    for _ in range(3):
        reloading.ask()
    await asyncio.sleep(0.01)
    assert read == ["old"]
    may_go_on.set()
    await asyncio.sleep(0.01)
    assert read == ["old", "new"]
    reloading.ask()
    await asyncio.sleep(0.01)
    assert read == ["old", "new", "new"]


async def test_a_job_that_fails_is_logged_and_can_be_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = []

    async def reload() -> None:
        runs.append(1)
        raise ZeroDivisionError

    reloading = OneAtATime(reload, name="reload")
    for _ in range(2):
        reloading.ask()
        await asyncio.sleep(0.01)
    assert len(runs) == 2
    assert caplog.messages == ["reload failed"] * 2


UNENROLLED = """
data_dir = "."
[panel]
pins = "mock"
control_socket = "{socket}"
"""


def test_sighup_before_the_doorbell_is_enrolled_does_not_end_it(tmp_path: Path) -> None:
    claim = Claim(
        relay_url="http://127.0.0.1:9", secret="c2VjcmV0", ca_sha256="ab" * 32, expires_ms=2**47
    )
    (tmp_path / "claim.json").write_bytes(claim.encode())
    (tmp_path / "doorbell.toml").write_text(
        UNENROLLED.format(socket=f"/tmp/doorward-test-{os.getpid()}.sock")
    )
    doorbell = subprocess.Popen(
        [sys.executable, "-m", "firmware", "--config", tmp_path / "doorbell.toml", "run"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert doorbell.stderr is not None
    try:
        wait_for_line(doorbell.stderr, "not enrolled yet")
        doorbell.send_signal(signal.SIGHUP)
        wait_for_line(doorbell.stderr, "nothing to reload yet")
        doorbell.terminate()
        assert doorbell.wait(PATIENCE_S) == 0
    finally:
        doorbell.kill()
        doorbell.communicate()


def wait_for_line(lines: IO[str], part: str) -> None:
    for line in lines:
        if part in line:
            return
    raise AssertionError(f"it ended without saying {part!r}")


def values_of(key: str, unit: str = "doorward.service") -> list[str]:
    lines = (UNITS / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(key + "=")]


@needs_systemd
def test_the_unit_exposes_at_most_1_5() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
         str(UNITS / "doorward.service")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("doorward*.*")))
def test_systemd_understands_every_line_of_the_units(unit: str, tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        text = path.read_text().replace("/opt/doorward/current/bin/doorward-firmware", "/bin/true")
        text = text.replace("/opt/doorward/units/doorward-reboot ", "/bin/true ")
        text = text.replace("/opt/doorward/current/bin/python ", "/bin/true ")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)],
        check=False, capture_output=True, text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_unit_gives_the_devices_that_a_doorbell_has_and_no_other() -> None:
    assert values_of("DevicePolicy") == ["closed"]
    assert {value.split()[0] for value in values_of("DeviceAllow")} == {
        "char-video4linux",
        "char-media",
        "char-dma_heap",
        "char-gpiochip",
        "char-alsa",
        "/dev/vcio",
        "/dev/vcio_gencmd",
    }


needs_confinement = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or find_library("seccomp") is None,
    reason="systemd-analyze or libseccomp isn't installed",
)


@needs_confinement
def test_a_viewer_gets_picture_and_clip_under_what_the_unit_forbids() -> None:
    root = UNITS.parents[1]
    confined = [sys.executable, root / "tests/fakes/confined.py", UNITS / "doorward.service"]
    files = ["tests/firmware/test_live.py", "tests/firmware/test_live_clips.py"]
    tests = [*files, "-k", "thirty_decoded_frames or bit_for_bit"]
    done = subprocess.run(
        [*confined, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=root, check=False, capture_output=True, text=True, timeout=10 * PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@needs_confinement
def test_the_confinement_of_these_tests_forbids_what_the_unit_forbids(tmp_path: Path) -> None:
    unit = tmp_path / "doorward.service"
    unit.write_text((UNITS / "doorward.service").read_text() + "MemoryDenyWriteExecute=yes\n")
    (tmp_path / "mine").touch()
    for forbidden in (f"os.chown('{tmp_path}/mine', 1, 1)", "mmap.mmap(-1, 4096, prot=7)"):
        program = f"import mmap, os\ntry: {forbidden}\nexcept OSError: raise SystemExit(7)"
        confined = [sys.executable, UNITS.parents[1] / "tests/fakes/confined.py", unit]
        done = subprocess.run([*confined, sys.executable, "-c", program], check=False)
        assert done.returncode == 7


def test_the_pins_need_no_card() -> None:
    """lgpio makes a pipe in the working directory; the runtime folder lies in memory."""
    assert values_of("WorkingDirectory") == [f"/run/{values_of('RuntimeDirectory')[0]}"]


def test_the_unit_ends_a_stuck_doorbell_without_a_dump_and_always_starts_it_again() -> None:
    assert values_of("Type") == ["notify"]
    assert values_of("WatchdogSec") == ["30"]
    assert values_of("WatchdogSignal") == ["SIGKILL"]
    assert values_of("LimitCORE") == ["0"]
    assert values_of("Restart") == ["always"]
    assert values_of("StartLimitIntervalSec") == ["0"]


def test_what_is_asked_for_is_what_the_board_watches_for() -> None:
    asked = f"/run/{values_of('RuntimeDirectory')[0]}/{REBOOT_WANTED}"
    assert values_of("PathExists", "doorward-reboot.path") == [asked]
    assert values_of("ExecStart", "doorward-reboot.service")[0].split()[1] == asked


@pytest.mark.parametrize(
    ("uptime", "is_restarted"), [("3599.99 100.0\n", False), ("3600.00 100.0\n", True)]
)
def test_the_board_itself_refuses_a_restart_in_its_first_hour(
    tmp_path: Path, uptime: str, is_restarted: bool
) -> None:
    asked, up, restarted = (tmp_path / name for name in ("asked", "uptime", "restarted"))
    asked.touch()
    up.write_text(uptime)
    subprocess.run(
        [UNITS / "doorward-reboot", asked, up, "touch", restarted], check=True, timeout=PATIENCE_S
    )
    assert restarted.exists() == is_restarted
    assert not asked.exists()


def test_sighup_is_what_a_reload_sends() -> None:
    assert values_of("ExecReload") == [f"/bin/kill -{signal.SIGHUP.name[3:]} $MAINPID"]


def test_the_guides_settings_are_accepted_and_fit_the_unit() -> None:
    guide = (UNITS.parents[1] / "docs/guide/pi.md").read_text()
    _, _, rest = guide.partition("```toml\n")
    text, _, _ = rest.partition("```")
    config = parse_config(tomllib.loads(text), Path("/etc/doorward"))
    assert config.camera.kind == "picamera"
    assert config.data_dir == Path("/var/lib", values_of("StateDirectory")[0])
    assert config.claim_file.parent == config.data_dir


def test_the_guide_installs_every_unit_where_the_others_look_for_it() -> None:
    guide = (UNITS.parents[1] / "docs/guide/pi.md").read_text()
    for path in UNITS.iterdir():
        assert path.name in guide
    assert values_of("ExecStart")[0].startswith("/opt/doorward/current/bin/doorward-firmware ")
    assert values_of("ExecStart", "doorward-reboot.service")[0].startswith(
        "/opt/doorward/units/doorward-reboot "
    )
