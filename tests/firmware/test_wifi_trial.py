"""The trial of another Wi-Fi network: kept only where the relay's pinned certificate answers."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware.system.clock import SystemClock
from firmware.wifi.kept_network import KeptNetwork
from firmware.wifi.network_service import NetworkService
from firmware.wifi.relay_probe import RelayProbe
from firmware.wifi.trial import TRIAL_S, TrialOutcome, WifiTrial
from firmware.wifi.window import Joining
from provisioning.wifi_helper import WifiHelper
from tests.fakes.clock import ManualClock
from tests.fakes.fleet_ca import FleetCa
from tests.fakes.network_manager import CARDS_UUID, FakeNetworkManager
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.fakes.wifi_codes import HOME
from tests.fakes.wifi_networks import FakeNetworks, FakeProbe

WANTED = Joining(network=HOME, code_id=bytes(16))


@dataclass
class Doorbell:
    """The parts of a trial, on the fake radio."""

    folder: Path
    networks: FakeNetworks = field(default_factory=FakeNetworks)
    clock: ManualClock = field(default_factory=ManualClock)
    outcomes: list[TrialOutcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.probe = FakeProbe(self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WifiTrial]:
        trial = WifiTrial(
            networks=self.networks,
            probe=self.probe,
            kept=KeptNetwork(self.folder),
            clock=self.clock,
            retry_s=0,
        )
        trial.ended.add(self.outcomes.append)
        running = asyncio.create_task(trial.run())
        try:
            yield trial
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def outcome(self) -> TrialOutcome:
        async with self.running() as trial:
            trial.want(WANTED)
            await eventually(lambda: self.outcomes)
        return self.outcomes[0]


@pytest.fixture
def doorbell(tmp_path: Path) -> Doorbell:
    return Doorbell(tmp_path)


def on_card(folder: Path) -> dict:
    return json.loads((folder / "wifi.json").read_text())


async def test_a_network_in_which_the_relay_answers_is_kept(doorbell: Doorbell) -> None:
    outcome = await doorbell.outcome()
    assert outcome.is_kept
    assert doorbell.networks.asked == ["join Home", "keep"]
    assert doorbell.probe.asked == ["wlan0"]
    on = on_card(doorbell.folder)
    assert (on["kept"]["ssid"], on["trial"]) == (b"Home".hex(), None)


async def test_a_relay_that_answers_late_but_in_time_is_enough(doorbell: Doorbell) -> None:
    doorbell.probe.answers_in_turn = (False, False, True)
    assert (await doorbell.outcome()).is_kept


async def test_returns_when_the_relay_does_not_answer_within_two_minutes(
    doorbell: Doorbell,
) -> None:
    doorbell.probe.answers_in_turn = (False,)
    outcome = await doorbell.outcome()
    assert outcome == TrialOutcome(name="Home", reason="no_relay")
    assert doorbell.networks.asked == ["join Home", "go back"]
    assert len(doorbell.probe.asked) == TRIAL_S // doorbell.probe.takes_s
    assert on_card(doorbell.folder) == {
        "v": 1, "kept": None, "trial": None, "used": ["00" * 16],
    }  # fmt: skip


@pytest.mark.parametrize("reason", ["wrong_password", "not_found", "failed"])
async def test_says_why_a_network_was_not_joined(doorbell: Doorbell, reason: str) -> None:
    doorbell.networks.fails = reason  # type: ignore[assignment]
    assert (await doorbell.outcome()).reason == reason
    assert doorbell.networks.asked == ["join Home", "go back"]


async def test_without_a_helper_nothing_is_kept(doorbell: Doorbell) -> None:
    doorbell.networks.has_helper = False
    assert (await doorbell.outcome()).reason == "no_helper"


async def test_a_network_that_the_helper_has_left_is_not_kept(doorbell: Doorbell) -> None:
    doorbell.networks.fails_to_keep = True
    assert (await doorbell.outcome()).reason == "failed"
    assert on_card(doorbell.folder)["kept"] is None


async def test_what_was_kept_before_stays_when_a_trial_fails(doorbell: Doorbell) -> None:
    KeptNetwork(doorbell.folder).keep(HOME)
    doorbell.networks.fails = "not_found"
    await doorbell.outcome()
    assert on_card(doorbell.folder)["kept"]["ssid"] == b"Home".hex()


async def test_a_power_cut_on_trial_is_gone_back_on_and_told_at_the_next_start(
    doorbell: Doorbell,
) -> None:
    doorbell.networks.hang = asyncio.Event()
    async with doorbell.running() as trial:
        trial.want(WANTED)
        await eventually(lambda: doorbell.networks.asked)
    assert on_card(doorbell.folder)["trial"] == {"name": "Home"}  # and the power is cut
    again = Doorbell(doorbell.folder)
    async with again.running():
        await eventually(lambda: again.outcomes)
    assert again.outcomes == [TrialOutcome(name="Home", reason="broken_off")]
    assert again.networks.asked == ["go back"]
    assert on_card(doorbell.folder)["trial"] is None


async def test_a_trial_that_cannot_be_noted_is_not_begun(tmp_path: Path) -> None:
    doorbell = Doorbell(tmp_path / "gone")  # a folder that isn't there: no file can be written
    outcome = await doorbell.outcome()
    assert outcome.reason == "storage"
    assert doorbell.networks.asked == []


# --- the relay's certificate, by a real handshake ---


def server_tls(ca: FleetCa, folder: Path, name: str, *, host: str = "localhost") -> ssl.SSLContext:
    (folder / name).mkdir()
    certificate, key = ca.write_server(folder / name, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")  # as a portal that answers everything
        await reader.read(1024)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def is_answered(port: int, pinned: FleetCa, folder: Path) -> bool:
    ca_file = folder / "pinned.pem"
    ca_file.write_text(pinned.pem)
    probe = RelayProbe(host="localhost", port=port, ca_file=ca_file)
    return await in_time(probe.answers("lo"))


async def test_the_relay_answers_with_the_pinned_certificate(tmp_path: Path) -> None:
    ca = FleetCa()
    async with listening(server_tls(ca, tmp_path, "relay")) as port:
        assert await is_answered(port, ca, tmp_path)


async def test_an_evil_twin_with_a_certificate_of_its_own_does_not_answer(tmp_path: Path) -> None:
    async with listening(server_tls(FleetCa(), tmp_path, "twin")) as port:
        assert not await is_answered(port, FleetCa(), tmp_path)


async def test_a_portal_that_answers_without_tls_does_not_answer(tmp_path: Path) -> None:
    async with listening(None) as port:
        assert not await is_answered(port, FleetCa(), tmp_path)


async def test_the_certificate_is_of_the_relays_name(tmp_path: Path) -> None:
    ca = FleetCa()
    async with listening(server_tls(ca, tmp_path, "relay", host="elsewhere.example")) as port:
        assert not await is_answered(port, ca, tmp_path)


async def test_nobody_answers_by_an_interface_that_is_not_there(tmp_path: Path) -> None:
    ca = FleetCa()
    async with listening(server_tls(ca, tmp_path, "relay")) as port:
        ca_file = tmp_path / "pinned.pem"
        ca_file.write_text(ca.pem)
        probe = RelayProbe(host="localhost", port=port, ca_file=ca_file)
        assert not await in_time(probe.answers("wlan7"))


# --- with the real helper on a fake NetworkManager ---


@dataclass
class Board:
    """A board whose helper is started whenever there is a request, as its path unit does."""

    folder: Path
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for name in ("run", "run-wifi", "profiles", "data"):
            (self.folder / name).mkdir()
        self.manager = FakeNetworkManager(self.folder / "profiles", air={b"Home": HOME.key})
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        request = self.folder / "run/wifi-request"
        while not self.is_over.is_set():
            if request.exists():
                WifiHelper(
                    request=request,
                    result_folder=self.folder / "run-wifi",
                    profiles=self.folder / "profiles",
                    run=self.manager,
                    pause=lambda _: time.sleep(0.01),
                    monotonic_s=lambda: 1000.0 if self.is_over.is_set() else 0.0,
                ).serve()
            time.sleep(0.01)

    def trial(self, probe: RelayProbe, trial_s: float) -> WifiTrial:
        clock = SystemClock(is_host_time_trusted=True)
        return WifiTrial(
            networks=NetworkService({"RUNTIME_DIRECTORY": str(self.folder / "run")}, clock=clock),
            probe=probe,
            kept=KeptNetwork(self.folder / "data"),
            clock=clock,
            trial_s=trial_s,
            retry_s=0.05,
        )


@pytest.mark.parametrize("is_twin", [False, True], ids=["the relay's network", "an evil twin"])
async def test_from_the_code_to_the_profile(tmp_path: Path, is_twin: bool) -> None:
    board, pinned = Board(tmp_path), FleetCa()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(pinned.pem)
    outcomes: list[TrialOutcome] = []
    board.thread.start()
    tls = server_tls(FleetCa() if is_twin else pinned, tmp_path, "server")
    async with listening(tls) as port:
        probe = _ByLoopback(host="localhost", port=port, ca_file=ca_file)
        trial = board.trial(probe, trial_s=0.5 if is_twin else PATIENCE_S)
        trial.ended.add(outcomes.append)
        running = asyncio.create_task(trial.run())
        trial.want(WANTED)
        await eventually(lambda: outcomes)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    board.is_over.set()
    await asyncio.to_thread(board.thread.join)
    if is_twin:
        assert outcomes == [TrialOutcome(name="Home", reason="no_relay")]
        assert (board.manager.active, board.manager.ssid) == (CARDS_UUID, b"Old")
    else:
        assert outcomes == [TrialOutcome(name="Home", reason="")]
        assert board.manager.ssid == b"Home"
        assert [path.stem for path in board.manager.profiles.iterdir()] == ["doorward-home"]


class _ByLoopback(RelayProbe):
    """The radio's traffic goes over the loopback interface here."""

    async def answers(self, interface: str) -> bool:
        assert interface == "wlan0"
        return await super().answers("lo")


async def test_without_the_units_runtime_folder_there_is_no_helper(tmp_path: Path) -> None:
    clock = ManualClock()
    trial = WifiTrial(
        networks=NetworkService({}, clock=clock),
        probe=FakeProbe(clock),
        kept=KeptNetwork(tmp_path),
        clock=clock,
    )
    outcomes: list[TrialOutcome] = []
    trial.ended.add(outcomes.append)
    running = asyncio.create_task(trial.run())
    trial.want(WANTED)
    await eventually(lambda: outcomes)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [one.reason for one in outcomes] == ["no_helper"]
