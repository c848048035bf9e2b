"""A bad line between two network namespaces: delay, loss and a narrow place, in user space.

One namespace is the door's, the other the viewer's; a TUN device in each is all that leads out of
it, and a process (line_process.py) carries each packet from one to the other. Whatever runs behind
`door.prefix` or `viewer.prefix` is at that end. Nothing of it is left when this program ends,
however it ends: the namespaces live as long as the processes in them. Needs root.
"""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Self

from tests.rigs.line_process import enter

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = "line0"
DOOR_ADDRESS = "198.18.0.1"
VIEWER_ADDRESS = "198.18.0.2"
"""Of the block for benchmarks (RFC 2544); they exist in the two namespaces only."""
HOLDER = "import sys; print(flush=True); sys.stdin.read()"


class NoLine(Exception):
    """A line can't be laid here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What happens to packets in one direction."""

    delay_s: float = 0.0
    loss: float = 0.0
    """Share of the UDP packets that are lost, each by chance."""
    rate_bps: int | None = None
    """How much gets through; what is more waits, at most `queue_s`, and is lost then."""
    queue_s: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of the line: put `prefix` before a command to run it there."""

    namespace: str
    address: str

    @property
    def prefix(self) -> Sequence[str]:
        """What starts a command at this end."""
        return ["nsenter", f"--net={self.namespace}"]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the sockets that this thread makes in the block at this end; they stay there."""
        with Path("/proc/thread-self/ns/net").open() as here, Path(self.namespace).open() as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(here.fileno())

    def wrapper(self, program: str, folder: Path) -> Path:
        """Write a program that starts another at this end, for who takes no prefix."""
        path = folder / f"{Path(program).name}-there"
        path.write_text(f'#!/bin/sh\nexec {" ".join(self.prefix)} {program} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path


class Line:
    """A line that is laid. `set` changes it while packets are on their way."""

    def __init__(self, door: End, viewer: End, link: "subprocess.Popen[bytes]") -> None:
        self.door = door
        self.viewer = viewer
        self._link = link

    def set(self, *, to_viewer: Way, to_door: Way) -> Self:
        """Make the line so from now on."""
        ways = {"to_viewer": asdict(to_viewer), "to_door": asdict(to_door)}
        _write(self._link, json.dumps(ways))
        _read(self._link)
        return self

    @property
    def counts(self) -> dict[str, int]:
        """Packets that came through and that were lost so far, by direction."""
        _write(self._link, "{}")
        counts: dict[str, int] = json.loads(_read(self._link))
        return counts


def why_no_line() -> str:
    """Say why no line can be laid here; "" if one can."""
    if os.geteuid() != 0:
        return "a bad line between namespaces needs root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "no network namespace can be made here"


@contextmanager
def laid(to_viewer: Way, to_door: Way | None = None, *, seed: int = 1) -> Iterator[Line]:
    """Lay a line until the end of the block; by itself the way back has the delay alone."""
    why = why_no_line()
    if why:
        raise NoLine(why)
    with ExitStack() as stack:
        holders = [stack.enter_context(_started(_holder())) for _ in range(2)]
        for holder in holders:
            _read(holder)  # its namespace is there
        command = [sys.executable, "-m", "tests.rigs.line_process", DEVICE, str(seed)]
        command += [str(holder.pid) for holder in holders]
        link = stack.enter_context(_started(_spawn(command)))
        _read(link)  # its devices are there
        door, viewer = (
            End(namespace=f"/proc/{holder.pid}/ns/net", address=address)
            for holder, address in zip(holders, (DOOR_ADDRESS, VIEWER_ADDRESS), strict=True)
        )
        for end in (door, viewer):
            _bring_up(end)
        back = to_door or replace(Way(), delay_s=to_viewer.delay_s)
        yield Line(door, viewer, link).set(to_viewer=to_viewer, to_door=back)


def _bring_up(end: End) -> None:
    for words in (
        ["link", "set", "lo", "up"],
        ["addr", "add", f"{end.address}/30", "dev", DEVICE],
        ["link", "set", DEVICE, "up"],
        ["route", "add", "default", "dev", DEVICE],  # browsers look for it
    ):
        subprocess.run([*end.prefix, "ip", *words], check=True)


def _holder() -> "subprocess.Popen[bytes]":
    """Return a process that does nothing in a namespace of its own until its input ends."""
    return _spawn(["unshare", "--net", sys.executable, "-c", HOLDER])


def _spawn(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe)


@contextmanager
def _started(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _write(process: "subprocess.Popen[bytes]", line: str) -> None:
    stream = _stream(process.stdin)
    stream.write(line.encode() + b"\n")
    stream.flush()


def _read(process: "subprocess.Popen[bytes]") -> str:
    line = _stream(process.stdout).readline()
    if not line:
        raise NoLine("a process of the line has ended; what it said is above")
    return line.decode()


def _stream(stream: "IO[bytes] | None") -> "IO[bytes]":
    if stream is None:
        raise NoLine("a process of the line has no pipes")
    return stream
