"""A home for the doorbells that are measured: a whole town around it, or a folder alone.

The doorbell in it is the real `doorward-firmware run` (tests.bench.doorbell_process), enrolled and
paired; only its camera's film was encoded before. In a town it has broker, relay, logs and
witnesses with the delays of real ones, and an owner who watches. Without one, its relay isn't
there: enough for short forms.
"""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from firmware.clips.deletions import DeletionSigner
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord, ClipStart
from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.encoding import decode, new_id, unb64u
from firmware.protocol.live import LiveOffer, SignedLive, check_answer
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from firmware.vault.sealed_file import Vault
from firmware.vault.storage_key import FileStorageKey
from tests.bench.children import REPOSITORY, Child, cpu_s, memory_bytes
from tests.bench.feed import write_luma, write_unit
from tests.bench.film import Film
from tests.fakes.paired_folder import make_paired_folder
from tests.story.api import Api
from tests.story.children import Children
from tests.story.owner import API, Owner
from tests.story.play import DOOR_NUMBER, meet_people
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.town import invite, make_town, write_doorbell_settings

T = TypeVar("T")
UNIT = REPOSITORY / "provisioning" / "systemd" / "doorward.service"
OF_A_HOME = "HOME"
"""What the unit sets that another machine hasn't."""
PATIENCE_S = 200.0
"""Only what is broken takes so long."""
MEMORY_EACH_S = 0.5
POLL_S = 0.001
KEEP_BYTES = 200_000_000
PRE_ROLL_S = 6.0
RING_FILL_S = PRE_ROLL_S + 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Films:
    """The empty porch and a visit, as files, and what a doorbell's settings say of them."""

    empty: Path
    visit: Path
    width: int
    height: int
    bitrate_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One doorbell's use of the machine during a window."""

    cpu_percent: float
    thread_percent: dict[str, float]
    """By the thread's name; "film" is what the camera's thread took to read it."""
    wakes: float
    """Voluntary switches a second of all threads but the camera's."""
    memory_mb: float
    """The highest that was seen."""

    @property
    def own_percent(self) -> float:
        """CPU without the film's reading, which no camera needs."""
        return self.cpu_percent - self.thread_percent["film"]


class Doorbell:
    """One life of the doorbell's process, seen from outside."""

    def __init__(self, settings: Path, films: Films) -> None:
        self._log = settings.with_suffix(".log")
        self._log.unlink(missing_ok=True)
        self._child = Child(
            "tests.bench.doorbell_process",
            settings,
            films.empty,
            films.visit,
            errors=self._log,
            environment=service_environment(),
        )
        self._control = settings.with_name("control.sock")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def cpu_s(self) -> float:
        """CPU seconds since it was started."""
        return cpu_s(self.pid)

    @property
    def memory_mb(self) -> float:
        return memory_bytes(self.pid) / 1e6

    async def press(self) -> None:
        """Press the bell, as soon as the control socket listens; it is noted on return."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await asyncio.to_thread(
                    _asked, self._control, {"do": "press", "pin": "bell", "hold_s": 0.05}
                )
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if self._child.has_ended:
                    raise RuntimeError(self._log.read_text()[-2000:]) from None
                if time.monotonic() > end_s:
                    raise
                await asyncio.sleep(0.002)
        if not answer["ok"]:
            raise RuntimeError(f"the press was refused: {answer}")

    def chime_pulses(self) -> int:
        """How often the chime has sounded."""
        return int(_asked(self._control, {"do": "look"})["chime_pulses"])

    async def until_ready(self) -> None:
        """Wait until all parts have loaded."""
        end_s = time.monotonic() + PATIENCE_S
        while "doorbell ready" not in self._log.read_text():
            if self._child.has_ended:
                raise RuntimeError(self._log.read_text()[-2000:])
            if time.monotonic() > end_s:
                raise TimeoutError(self._log.read_text()[-2000:])
            await asyncio.sleep(0.05)

    def set_visited(self, is_visited: bool) -> None:
        """Have somebody come or go."""
        self._child.say(visit=is_visited)

    def reload(self) -> None:
        """Have it read its settings again."""
        os.kill(self.pid, signal.SIGHUP)

    async def camera(self) -> dict[str, Any]:  # Any: JSON's values
        """Ask the camera what it has handed on, and what reading its film took."""
        self._child.say(camera=True)
        told: dict[str, Any] = await asyncio.to_thread(self._child.hear, "camera")
        return told

    async def window(self, seconds: float) -> Usage:
        """Watch it for so long."""
        usage, _ = await self.during(asyncio.sleep(seconds))
        return usage

    async def during(self, until: Coroutine[Any, Any, T]) -> tuple[Usage, T]:
        """Watch it until this is over; return what that gave, too."""
        begin = await self._looked()
        memory_mb = self.memory_mb
        waiting = asyncio.create_task(until)
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=MEMORY_EACH_S)
            memory_mb = max(memory_mb, self.memory_mb)
        end = await self._looked()
        took_s = end.at_s - begin.at_s
        used = {
            name: 100 * (used_s - begin.thread_s.get(name, 0.0)) / took_s
            for name, used_s in end.thread_s.items()
        }
        usage = Usage(
            cpu_percent=100 * (end.cpu_s - begin.cpu_s) / took_s,
            thread_percent=used,
            wakes=(end.wakes - begin.wakes) / took_s,
            memory_mb=memory_mb,
        )
        return usage, waiting.result()

    async def stop(self) -> None:
        """End it as the service manager does."""
        os.kill(self.pid, signal.SIGTERM)
        await asyncio.to_thread(self._child.hear_all)

    def end(self) -> None:
        """See to it that it is gone."""
        self._child.end()

    async def _looked(self) -> "_Looked":
        self._child.say(threads=True)
        threads: dict[str, int] = await asyncio.to_thread(self._child.hear, "threads")
        camera = await self.camera()
        tasks = Path(f"/proc/{self.pid}/task")
        thread_s = {"film": camera["reading_ns"] / 1e9}
        wakes = 0
        for name, number in threads.items():
            try:
                schedstat = (tasks / str(number) / "schedstat").read_text()
                status = (tasks / str(number) / "status").read_text()
            except FileNotFoundError:
                continue  # it has ended meanwhile
            thread_s[name] = thread_s.get(name, 0.0) + int(schedstat.split()[0]) / 1e9
            if name not in ("camera", "benchmark"):
                wakes += _switches(status)
        thread_s["camera"] = thread_s.get("camera", 0.0) - thread_s["film"]
        return _Looked(at_s=time.monotonic(), cpu_s=self.cpu_s, thread_s=thread_s, wakes=wakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What a doorbell has used since its start."""

    at_s: float
    cpu_s: float
    thread_s: dict[str, float]
    wakes: int


class Home:
    """The folder of one doorbell, and who is around it."""

    def __init__(self, folder: Path, base: str, *, door_port: int, owner: Owner | None) -> None:
        """`base` are the settings that its surroundings need."""
        self.folder = folder
        self._base, self._camera, self._clips = base, "", ""
        self.page = Api(f"http://127.0.0.1:{door_port}")
        self._owner = owner
        self.database = Database(folder / "library.sqlite3")
        keys = load_or_make_keys(folder)
        self.public_key = keys.signer.spki
        self._library = Library(
            self.database,
            folder / "clips",
            deletions=DeletionSigner(keys.signer, keys.device, SystemClock()),
        )
        self._playback = Playback(self._library, Vault(FileStorageKey(folder / "storage.key")))

    @contextmanager
    def doorbell(
        self,
        films: Films,
        *,
        post_roll_s: float,
        longest_s: float = 120.0,
        pre_roll_s: float = PRE_ROLL_S,
        has_motion: bool = True,
    ) -> Iterator[Doorbell]:
        """Start the doorbell; it is gone at the end of the block."""
        self._clips = (
            f"[clips]\npre_roll_s = {pre_roll_s}\npost_roll_s = {post_roll_s}\n"
            f"longest_s = {longest_s}\nkeep_bytes = {KEEP_BYTES}\nmin_free_bytes = 0\n"
            "ring_max_bytes = 64_000_000\n"
        )
        self._camera = (
            f'[camera]\nkind = "replay"\nwidth = {films.width}\nheight = {films.height}\n'
            f"fps = 30\nbitrate_bps = {films.bitrate_bps}\n"
        )
        doorbell = Doorbell(self.write_settings(has_motion=has_motion), films)
        try:
            yield doorbell
        finally:
            doorbell.end()

    def write_settings(self, *, has_motion: bool) -> Path:
        """Write the doorbell's settings; it reads them at its start and when told to."""
        path = self.folder / "bench.toml"
        motion = f"[motion]\nis_on = {str(has_motion).lower()}\n"
        path.write_text(f"{self._base}\n{self._camera}\n{self._clips}\n{motion}")
        return path

    @property
    def has_viewer(self) -> bool:
        """Whether somebody lives here who can watch."""
        return self._owner is not None

    def answer(self) -> Callable[[str], Awaitable[str]]:
        """Return what takes a viewer's offer to the doorbell, by the whole road."""
        owner = self._owner
        if owner is None or owner.doorbell is None:
            raise RuntimeError("nobody lives here who could watch")
        keys = owner.doorbell

        async def send_offer(sdp: str) -> str:
            base = f"{API}/doorbells/{keys.device}"
            offer = LiveOffer(
                device=keys.device,
                session_id=new_id(),
                nonce=str((await owner.api.post(f"{base}/nonce"))["nonce"]),
                browser=owner.browser.keys.id,
                purpose="live",
                sdp=sdp,
            )
            signed = msgspec.to_builtins(owner.browser.sign(offer))
            told = await owner.api.post(
                f"{base}/offer", {"session_id": offer.session_id, "signed": signed}
            )
            answer = check_answer(
                msgspec.convert(told["signed"], SignedLive),
                unb64u(keys.identity_key),
                offer=offer,
                now_ms=time.time_ns() // 1_000_000,
            )
            return answer.sdp

        return send_offer

    def clips(self) -> list[ClipRecord]:
        """Return the finished clips, the oldest first."""
        return self._library.finished()

    def first_ms(self, clip: ClipRecord) -> float:
        """Return the monotonic time of a clip's first picture."""
        with self.database.read() as connection:
            row = connection.execute(
                "SELECT start_json FROM clips WHERE clip_id = ?", (clip.clip_id,)
            ).fetchone()
        start = decode(ClipStart, row[0])
        if start.clock_difference_ms is None:
            raise RuntimeError("the clip doesn't say by how much the clocks differ")
        return start.started_ms - start.clock_difference_ms

    def plain_mp4(self, clip: ClipRecord) -> bytes:
        """Return a clip as its owner plays it."""
        return self._playback.plain_mp4(clip)

    async def next_clip(self, before: int, within_s: float = PATIENCE_S) -> tuple[int, ClipRecord]:
        """Return when there were more finished clips than `before` (monotonic ns), and the last."""
        watching = sqlite3.connect(f"file:{self.database.path}?mode=ro", uri=True)
        seen = None
        end_s = time.monotonic() + within_s
        try:
            while time.monotonic() < end_s:
                (version,) = watching.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    seen = version
                    counting = "SELECT count(*) FROM clips WHERE state = 'finished'"
                    (count,) = watching.execute(counting).fetchone()
                    if count > before:
                        return time.monotonic_ns(), self.clips()[-1]
                await asyncio.sleep(POLL_S)
        finally:
            watching.close()
        raise TimeoutError("no clip was listed")

    async def close(self) -> None:
        """Close what was opened."""
        await self.page.close()
        self.database.close()


@asynccontextmanager
async def bare_home(folder: Path) -> AsyncIterator[Home]:
    """Give an enrolled and paired folder whose relay isn't there."""
    (door_port,) = free_ports(1)
    make_paired_folder(folder, door_port=door_port)
    base = (
        f"[door]\nlisten_port = {door_port}\n[clock]\nis_host_time_trusted = true\n"
        '[panel]\npins = "mock"\n'
    )
    home = Home(folder, base, door_port=door_port, owner=None)
    try:
        yield home
    finally:
        await home.close()


@asynccontextmanager
async def town_home(folder: Path) -> AsyncIterator[Home]:
    """Give a home in a town that is up, once its doorbell is enrolled and paired."""
    settings = Settings(
        data_dir=folder,
        ports=Ports(**dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))),
        video=None,
        is_once=True,
        is_json=False,
        has_real_delays=True,
        is_empty=True,
        slot="600s",
    )
    folder.mkdir(exist_ok=True)
    await make_town(settings)
    write_doorbell_settings(settings)
    children = Children(folder)
    servers, people = Servers(settings, children), meet_people(settings)
    try:
        await servers.start_carriers()
        await servers.start("doorbell")
        await people.door.wait_until_online()
        await people.owner.register((await invite(settings, "owner"))["invitation"])
        await people.owner.pair(people.door, DOOR_NUMBER)
        await children.kill("doorbell")
        written = (settings.doorbell_dir / "doorbell.toml").read_text()
        base = written[written.index("[panel]") :]
        home = Home(settings.doorbell_dir, base, door_port=settings.ports.door, owner=people.owner)
        try:
            yield home
        finally:
            await home.close()
    finally:
        await people.close()
        await children.stop_all()
        servers.clean_up()


def service_environment() -> dict[str, str]:
    """Return what the doorbell's unit sets, the allocator's settings among it."""
    lines = (line for line in UNIT.read_text().splitlines() if line.startswith("Environment="))
    words = (word for line in lines for word in line.removeprefix("Environment=").split())
    pairs = (word.partition("=") for word in words)
    return {name: value for name, _, value in pairs if name != OF_A_HOME}


def write_films(empty: Film, visit: Film, folder: Path, bitrate_bps: int) -> Films:
    """Write both films for a doorbell's camera."""
    return Films(
        empty=_written(empty, folder / "empty.h264"),
        visit=_written(visit, folder / "visit.h264"),
        width=empty.width,
        height=empty.height,
        bitrate_bps=bitrate_bps,
    )


def _written(film: Film, path: Path) -> Path:
    with path.open("wb") as file:
        for unit in film.units:
            write_unit(file, unit)
    with path.with_suffix(".luma").open("wb") as file:
        for frame in film.luma:
            write_luma(file, frame)
    return path


def _asked(path: Path, order: dict[str, object]) -> dict[str, Any]:  # Any: JSON's values
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(path))
        connection.sendall(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.recv(4096))
    return answer


def _switches(status: str) -> int:
    (line,) = (line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))
    return int(line.split()[1])
