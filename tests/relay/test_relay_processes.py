"""Relay processes side by side: roles, probes, and a restart under load that nobody notices."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import decode
from firmware.protocol.events import Event
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.config.settings import Config
from relay.fleet.ca import Authority
from relay.fleet.enrolment import EnrolmentService
from relay.store.database import Database
from relay.store.schema import SCHEMA_VERSION
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S
from tests.relay import databases
from tests.relay.doorbells import Doorbell, enrol
from tests.relay.next_version import ADDED
from tests.relay.relay_processes import RelayProcess, relay_processes
from tests.relay.servers import Broker, new_relay
from tests.rigs.postgres import MISSING, programs, run_postgres, url_of

pytestmark = pytest.mark.services

ALL = "web,ingest,log,notify"
DOORBELLS = 6
EACH_S = 0.05
AGAIN_S = 5.0
DRAIN_S = 4
MOST_UNRECEIPTED = 20
"""As a doorbell has at most under way."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """PostgreSQL for this module: the one that all tests have, or one of its own."""
    at = programs()
    if databases.SERVER:
        yield databases.SERVER
        return
    if at is None:
        pytest.skip(MISSING)
    with run_postgres(at) as folder, databases.all_on(url_of(folder)) as url:
        yield url


class Town:
    """A broker and a database, without a relay; there is no bucket at all."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config, self.database = config, database
        self.authority = Authority.load(
            config.ca_key_path.read_bytes(), config.ca_path.read_bytes()
        )
        self.enrolling = EnrolmentService(
            database=database,
            authority=self.authority,
            config=config,
            clock=SystemClock(),
            announce_revocation=self._nobody,
        )

    async def _nobody(self, _device: str) -> None:
        """No doorbell is revoked here."""


@pytest.fixture
async def town(postgres: str, tmp_path: Path) -> AsyncIterator[Town]:
    config = await asyncio.to_thread(new_relay, tmp_path / "relay")
    file = config.data_dir / "relay.toml"
    file.write_text(f"drain_s = {DRAIN_S}\n{file.read_text()}")
    broker = Broker(config)
    await asyncio.to_thread(broker.start)
    database = await Database.open(config.database)
    yield Town(config, database)
    await database.close()
    await asyncio.to_thread(broker.stop)


class Presses(threading.Thread):
    """Presses of one doorbell, each told again until its receipt, as its outbox would."""

    def __init__(self, doorbell: Doorbell) -> None:
        super().__init__(daemon=True)
        self._doorbell = doorbell
        self._is_over = threading.Event()
        self.told: list[str] = []
        self.unreceipted: dict[str, tuple[float, Event]] = {}
        self.longest_s = 0.0

    def run(self) -> None:
        with self._doorbell.connect() as line:
            line.subscribe(topic(self._doorbell.device, "command"))
            again_s = 0.0
            while not self._is_over.wait(EACH_S) or self.unreceipted:
                if not self._is_over.is_set() and len(self.unreceipted) < MOST_UNRECEIPTED:
                    event = self._doorbell.event()
                    self.told.append(event.id)
                    self.unreceipted[event.id] = time.monotonic(), event
                    line.publish("event", event.encode())
                for at_s, event in list(self.unreceipted.values())[:1]:
                    if time.monotonic() - max(at_s, again_s) > AGAIN_S:
                        again_s = time.monotonic()
                        line.publish("event", event.encode())
                for command in line.commands(0.01):
                    for event_id in getattr(command.body, "event_ids", ()):
                        if event_id in self.unreceipted:
                            at_s, _ = self.unreceipted.pop(event_id)
                            self.longest_s = max(self.longest_s, time.monotonic() - at_s)

    def finish(self, timeout_s: float = PATIENCE_S) -> None:
        self._is_over.set()
        self.join(timeout_s)
        assert not self.unreceipted


class Visitors(threading.Thread):
    """Requests as a balancer hands them out: to a process that said that it is ready."""

    def __init__(self, processes: list[RelayProcess]) -> None:
        super().__init__(daemon=True)
        self._processes = processes
        self._is_over = threading.Event()
        self.statuses: list[int] = []

    def run(self) -> None:
        while not self._is_over.is_set():
            for process in self._processes:
                asked_s = time.monotonic()
                if process.ask("/readyz") == 200:
                    time.sleep(0.2)  # it looks less often than it hands out
                    status = process.ask("/")
                    # One that comes later, on a busy machine, is promised nothing.
                    if status == 200 or time.monotonic() - asked_s < DRAIN_S:
                        self.statuses.append(status)

    def finish(self) -> None:
        self._is_over.set()
        self.join(PATIENCE_S)


async def test_each_process_does_what_its_roles_say(town: Town, tmp_path: Path) -> None:
    file = town.config.data_dir / "relay.toml"
    file.write_text(f'{file.read_text()}\n[metrics]\nlisten = "127.0.0.1:{free_port()}"\n')
    with relay_processes(town.config, "web", "ingest,log,notify") as (web, ingest):
        # Seen to fail (the second has no free address, and ends) with the file's alone.
        assert (web.ask_metrics(), ingest.ask_metrics()) == (200, 200)
        # There is no bucket: that takes no process out.
        probes = {path: (web.ask(path), ingest.ask(path)) for path in ("/livez", "/readyz")}
        assert probes == {"/livez": (200, 200), "/readyz": (200, 200)}
        assert (web.ask("/healthz"), ingest.ask("/healthz")) == (503, 503)
        assert (web.ask("/"), ingest.ask("/")) == (200, 404)
        doorbell = await enrol(town, tmp_path)
        event = doorbell.event()

        def press() -> bool:
            with doorbell.connect() as line:
                line.subscribe(topic(doorbell.device, "command"))
                line.publish("event", event.encode())
                return line.wait_for_receipt(event.id)

        assert await asyncio.to_thread(press)


async def test_the_only_process_takes_events_in_until_it_ends(town: Town, tmp_path: Path) -> None:
    file = town.config.data_dir / "relay.toml"
    file.write_text(file.read_text().replace(f"drain_s = {DRAIN_S}\n", "drain_s = 60\n"))
    doorbell = await enrol(town, tmp_path)
    event = doorbell.event()

    def press(process: RelayProcess) -> bool:
        with doorbell.connect() as line:
            line.subscribe(topic(doorbell.device, "command"))
            process.tell()
            while process.ask("/readyz") == 200:
                time.sleep(0.02)
            line.publish("event", event.encode())
            return line.wait_for_receipt(event.id)

    with relay_processes(town.config, ALL) as (process,):
        # Seen to fail (no receipt) while each process handed its doorbells over first.
        assert await asyncio.to_thread(press, process)
        assert process.ask("/") == 200


async def test_one_of_two_is_restarted_under_load_and_nothing_is_lost(
    town: Town, tmp_path: Path
) -> None:
    doorbells = [await enrol(town, tmp_path) for _ in range(DOORBELLS)]
    with relay_processes(town.config, ALL, ALL) as processes:
        presses = [Presses(doorbell) for doorbell in doorbells]
        visitors = Visitors(processes)

        def restart() -> None:
            for thread in (*presses, visitors):
                thread.start()
            time.sleep(1)
            one = processes[0]
            told_s = time.monotonic()
            one.tell()
            while one.ask("/readyz") == 200:  # it says no first, and serves on
                pass
            assert one.ask("/") == 200 or time.monotonic() - told_s >= DRAIN_S
            one.wait()
            one.start()
            one.wait_until_ready()
            time.sleep(1)
            visitors.finish()
            for thread in presses:
                thread.finish()

        await asyncio.to_thread(restart)
    assert set(visitors.statuses) == {200}
    check_stored(town, presses, doorbells)


async def test_a_relay_of_the_next_version_migrates_and_works_beside_one_of_today(
    town: Town, tmp_path: Path
) -> None:
    doorbells = [await enrol(town, tmp_path) for _ in range(2)]
    log = town.config.data_dir / "next.log"
    newer = RelayProcess(town.config, ALL, log, program="tests.relay.next_version")
    with relay_processes(town.config, ALL) as (today,):
        presses = [Presses(doorbell) for doorbell in doorbells]

        def update() -> None:
            for thread in presses:
                thread.start()
            time.sleep(1)
            newer.start()
            newer.wait_until_ready()
            time.sleep(1)  # each works on its own partitions
            assert today.ask("/readyz") == 200
            today.tell()
            today.wait()
            time.sleep(1)
            for thread in presses:
                thread.finish()

        try:
            await asyncio.to_thread(update)
        finally:
            newer.end()
    versions = "SELECT version, compatible_from FROM schema_version"
    assert databases.run_on(str(town.config.database), versions) == [(ADDED, SCHEMA_VERSION)]
    assert "migrated to version" in log.read_text()
    check_stored(town, presses, doorbells)


def check_stored(town: Town, presses: list[Presses], doorbells: list[Doorbell]) -> None:
    """Fail unless each press is stored once, in order."""
    longest_s = max(thread.longest_s for thread in presses)
    print(f"{sum(len(thread.told) for thread in presses)} events, {longest_s:.1f} s to a receipt")
    for thread, doorbell in zip(presses, doorbells, strict=True):
        query = f"SELECT payload FROM events WHERE device = '{doorbell.device}' ORDER BY relay_seq"  # noqa: S608
        rows = databases.run_on(str(town.config.database), query)
        stored = [decode(Event, text.encode()).id for (text,) in rows]
        assert stored == thread.told  # each once, in order
