"""The first boot as a whole: to its end, cut at any moment, and once more."""

import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from provisioning.first_boot.board import board_of
from provisioning.first_boot.displays import Display
from provisioning.first_boot.notices import Notices
from provisioning.first_boot.program import Program, has_nothing_to_do, is_refused, make_steps
from provisioning.first_boot.status import Status
from tests.fakes.first_boot_machine import (
    Machine,
    PowerCut,
    StandInStep,
    World,
    WorldTimer,
    contents_of,
    set_board,
)
from tests.provisioning.first_boot_cards import (
    CLAIM,
    FILES,
    MADE_MS,
    TARGET,
    bundle_of,
    flashed,
    invitation,
    write_card,
)

STATUS = "boot/firmware/doorward/provision-status.json"


def boot(machine: Machine, *, patience_s: float = 600.0, displays: Sequence[Display] = ()) -> None:
    """Start the program as the machine does at each boot."""
    machine.world.slept_s = 0.0
    if has_nothing_to_do(machine):
        return
    timer = WorldTimer(machine.world, patience_s=patience_s)
    board, notices = board_of(machine), Notices()
    steps = make_steps(
        machine,
        board,
        notices,
        timer,
        target=TARGET,
        data_partition=StandInStep("data_partition"),
        read_only_system=StandInStep("read_only_system"),
    )
    program = Program(machine, steps, displays=displays, notices=notices, timer=timer, board=board)
    if is_refused(machine):
        program.refuse_invitation()
    else:
        program.run()


class Shown:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []

    def show(self, status: Status) -> None:
        self.statuses.append(status)


def status_of(root: Path) -> dict[str, Any]:
    return json.loads((root / STATUS).read_bytes())


def test_a_flashed_card_becomes_a_doorbell(tmp_path: Path):
    write_card(tmp_path, flashed())
    machine = Machine(tmp_path, World())
    boot(machine)
    status = status_of(tmp_path)
    assert (status["state"], status["code"], status["version"]) == ("done", "done", "0.2.0")
    assert status["relay"] == "https://relay.example"
    assert status["register_origin"] == "example.org/town/register"
    assert machine.world.enrolled == [CLAIM["secret"]]
    assert machine.world.started == ["doorward.service"]
    assert not (tmp_path / "boot/firmware/doorward/claim.json").exists()
    command = (tmp_path / "opt/doorward/current/bin/doorward-firmware").read_text()
    assert command.startswith(f"#!{tmp_path}/opt/doorward/versions/0.2.0/bin/python\n")


def test_a_dragged_file_is_enough_and_its_password_leaves_the_card(tmp_path: Path):
    card = {name: data for name, data in flashed().items() if "bundle" in name or "sign" in name}
    write_card(tmp_path, {**card, "doorward.json": invitation()})
    boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "done"
    assert status_of(tmp_path)["name"] == "dw-7k2m"
    left = contents_of(tmp_path / "boot/firmware")
    assert not any(b"a" * 64 in data or b"c2VjcmV0" in data for data in left.values())
    assert b"a" * 64 in (tmp_path / "etc/netplan/60-doorward.yaml").read_bytes()


def test_a_second_boot_changes_no_byte_and_runs_no_program(tmp_path: Path):
    write_card(tmp_path, flashed())
    boot(Machine(tmp_path, World()))
    before = contents_of(tmp_path)
    machine = Machine(tmp_path, World())
    boot(machine)
    assert contents_of(tmp_path) == before
    assert machine.commands == []


def other_wifi(key: str = "b" * 64) -> bytes:
    return invitation(
        network={"ssid": "New", "key": key, "security": "wpa2", "country": "SE"}, name="other"
    )


def test_a_file_from_a_pc_changes_the_network_of_a_doorbell_without_an_owner(tmp_path: Path):
    write_card(tmp_path, flashed())
    boot(Machine(tmp_path, World()))
    other = json.loads(other_wifi()) | {"policy": "# another\n"}
    write_card(tmp_path, {"doorward.json": json.dumps(other).encode()})
    machine = Machine(tmp_path, World(started=["doorward.service"]))
    boot(machine)
    assert (tmp_path / "etc/doorward/policy.txt").read_text() == "# another\n"
    assert ("systemctl", "try-restart", "doorward.service") in machine.commands
    assert b'"New"' in (tmp_path / "etc/netplan/60-doorward.yaml").read_bytes()
    assert not (tmp_path / "boot/firmware/doorward.json").exists()
    assert machine.world.enrolled == []
    assert status_of(tmp_path)["code"] == "done"


@pytest.mark.parametrize("owners", ['{"v": 2, "owners": [{}]}', "{damaged"])
def test_a_file_from_a_pc_changes_nothing_once_there_is_an_owner(tmp_path: Path, owners: str):
    write_card(tmp_path, flashed())
    boot(Machine(tmp_path, World()))
    (tmp_path / "var/lib/doorward/owners.json").write_text(owners)
    write_card(tmp_path, {"doorward.json": other_wifi()})
    before = contents_of(tmp_path)
    boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "invitation_owned"
    after = contents_of(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {STATUS}
    boot(Machine(tmp_path, World()))
    assert contents_of(tmp_path) == after


def test_a_half_finished_doorbell_with_an_owner_takes_no_file_either(tmp_path: Path):
    write_card(tmp_path, {**flashed(), "doorward.json": other_wifi()})
    owners = tmp_path / "var/lib/doorward/owners.json"
    owners.parent.mkdir(parents=True)
    owners.write_text('{"v": 2, "owners": [{}]}')
    with pytest.raises(PowerCut):
        boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "invitation_owned"
    assert not (tmp_path / "etc/netplan/60-doorward.yaml").exists()


@pytest.mark.parametrize("data", [b"{", b"x" * 70_000, invitation(more=1), invitation(name="-")])
def test_a_bad_file_is_named_and_a_good_one_goes_on_from_there(tmp_path: Path, data: bytes):
    card = {name: data for name, data in flashed().items() if "bundle" in name or "sign" in name}
    write_card(tmp_path, {**card, "doorward.json": data})
    with pytest.raises(PowerCut):
        boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "invitation_refused"
    write_card(tmp_path, {"doorward.json": invitation()})
    boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "done"


def without_times(root: Path) -> dict[str, bytes]:
    found = contents_of(root)
    status = json.loads(found[STATUS])
    found[STATUS] = json.dumps({k: v for k, v in status.items() if not k.endswith("_ms")}).encode()
    return {name: data.replace(str(root).encode(), b"ROOT") for name, data in found.items()}


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: hundreds of boots sync thousands of files."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def test_cut_at_any_moment_it_converges_to_the_same_end(memory: Path):
    card = {**flashed(), "doorward.json": invitation()}
    whole = memory / "whole"
    write_card(whole, card)
    machine = Machine(whole, World())
    boot(machine)
    expected = without_times(whole)
    for moment in range(1, machine.moments + 1):
        root = memory / str(moment)
        write_card(root, card)
        world = World()
        with pytest.raises(PowerCut):
            boot(Machine(root, world, cut_at=moment))
        boot(Machine(root, world))
        assert without_times(root) == expected, f"cut at moment {moment}"
        assert set(world.enrolled) == {CLAIM["secret"]}


def test_a_card_flashed_anew_over_a_doorbells_data_starts_it_without_enrolling(tmp_path: Path):
    write_card(tmp_path, flashed())
    kept = tmp_path / "var/lib/doorward/enrolment.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    machine = Machine(tmp_path, World())
    boot(machine)
    assert (machine.world.enrolled, machine.world.started) == ([], ["doorward.service"])
    assert status_of(tmp_path)["code"] == "done"


def test_another_version_is_put_beside_and_the_link_is_turned(tmp_path: Path):
    write_card(tmp_path, flashed())
    boot(Machine(tmp_path, World()))
    old = contents_of(tmp_path / "opt/doorward/versions/0.2.0")
    write_card(tmp_path, {"doorward/bundle.tar": bundle_of(version="0.3.0")})
    machine = Machine(tmp_path, World())
    boot(machine)
    assert (tmp_path / "opt/doorward/current").readlink() == Path("versions/0.3.0")
    assert contents_of(tmp_path / "opt/doorward/versions/0.2.0") == old
    assert machine.world.enrolled == []
    other = bundle_of(version="0.3.0", made_ms=MADE_MS + 1)
    write_card(tmp_path, {"doorward/bundle.tar": other})
    with pytest.raises(PowerCut):
        boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "bundle_same_version"
    write_card(tmp_path, {"doorward/bundle.tar": bundle_of(version="0.1.0", made_ms=1)})
    with pytest.raises(PowerCut):
        boot(Machine(tmp_path, World()))
    assert status_of(tmp_path)["code"] == "bundle_older"
    assert (tmp_path / "opt/doorward/current").readlink() == Path("versions/0.3.0")


def test_in_1970_the_clock_is_set_to_the_bundles_time_and_ntp_is_waited_for_in_vain(tmp_path: Path):
    write_card(tmp_path, flashed())
    machine = Machine(tmp_path, World(now_ms=0, is_synchronised=False))
    boot(machine)
    assert machine.world.now_ms >= MADE_MS
    assert status_of(tmp_path)["code"] == "done"
    assert [notice["code"] for notice in status_of(tmp_path)["notices"]] == ["no_time"]


PACKAGES = [
    {"name": "libcarried", "version": "1.0", "file": "debs/libcarried_1.0_amd64.deb"},
    {"name": "python3-picamera2", "version": "any", "file": None},
]


def with_packages() -> dict[str, bytes]:
    files = {**FILES, "debs/libcarried_1.0_amd64.deb": b"deb"}
    return flashed(**{"doorward/bundle.tar": bundle_of(files, debian=PACKAGES)})


def test_a_package_that_no_archive_gives_is_named_and_missed_only_by_a_pis_camera(tmp_path: Path):
    write_card(tmp_path / "pc", with_packages())
    boot(Machine(tmp_path / "pc", World()))
    (notice,) = status_of(tmp_path / "pc")["notices"]
    assert (notice["code"], notice["detail"]) == ("packages_missing", "python3-picamera2")
    pi, world = tmp_path / "pi", World()
    write_card(pi, with_packages())
    set_board(pi, "Raspberry Pi 4 Model B Rev 1.5")
    with pytest.raises(PowerCut):
        boot(Machine(pi, world))
    assert (status_of(pi)["state"], status_of(pi)["code"]) == ("waiting", "packages_missing")
    world.archive.add("python3-picamera2")
    boot(Machine(pi, world))
    assert status_of(pi)["code"] == "done"
    assert {"libcarried", "python3-picamera2"} == world.installed


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "card_full"), (errno.EROFS, "card_read_only"), (errno.EIO, "card_failing")],
)
def test_a_card_that_takes_nothing_more_is_named(tmp_path: Path, number: int, code: str):
    write_card(tmp_path, flashed())
    machine = Machine(tmp_path, World())
    machine.write_error = number
    shown = Shown()
    with pytest.raises(PowerCut):
        boot(machine, displays=[shown])
    assert (shown.statuses[-1].state, shown.statuses[-1].code) == ("waiting", code)
    machine.write_error = None
    boot(machine)
    assert status_of(tmp_path)["code"] == "done"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("doorward-firmware: the claim can't be used (used): another doorbell", "claim_used"),
        ("doorward-firmware: the claim can't be used (expired): too old", "claim_expired"),
        ("doorward-firmware: the relay at https://relay.example didn't answer: x", "relay_away"),
        ("the relay at x didn't answer: certificate is not yet valid", "no_time"),
        (
            "doorward-firmware: the relay answered with another CA than the claim names",
            "relay_other",
        ),
        ("OSError: [Errno 28] No space left on device: '/var/lib/doorward'", "card_full"),
        ("Traceback", "enrol_failed"),
    ],
)
def test_says_why_it_isnt_enrolled(tmp_path: Path, answer: str, code: str):
    write_card(tmp_path, flashed())
    world = World(enrol_answer=answer)
    with pytest.raises(PowerCut):
        boot(Machine(tmp_path, world))
    assert (status_of(tmp_path)["state"], status_of(tmp_path)["code"]) == ("waiting", code)
    world.enrol_answer = None
    boot(Machine(tmp_path, world))
    assert status_of(tmp_path)["code"] == "done"


def test_a_wait_of_hours_writes_the_status_only_when_it_changes(tmp_path: Path):
    write_card(tmp_path, flashed())
    machine = Machine(tmp_path, World(enrol_answer="the relay at x didn't answer: y"))
    with pytest.raises(PowerCut):
        boot(machine, patience_s=2 * 3600)
    tries = sum(command[0] == "runuser" for command in machine.commands)
    before = (tmp_path / STATUS).stat().st_ino
    assert tries > 100
    assert status_of(tmp_path)["code"] == "relay_away"
    assert (tmp_path / STATUS).stat().st_ino == before
