"""Runs the demo as its users do, as a process, and looks at what it leaves behind."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fakes.waiting import PATIENCE_S
from tests.story.settings import PORT_NAMES, REPOSITORY, free_ports

RUNS_FOR_S = 0.02
ALONE = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")
"""What runs a shell's line where there is loopback only, which is down at first."""


class Demo:
    """`python -m tests.story` with a home and temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.home = folder / "home"
        self.tmp = folder / "tmp"
        self.said = folder / "stderr.txt"
        self.ports = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))
        self.home.mkdir()
        self.tmp.mkdir()

    def start(self, *options: str, is_alone: bool = False) -> "subprocess.Popen[str]":
        """Start it in a process group of its own; `is_alone`, with loopback only."""
        command = [sys.executable, "-m", "tests.story", *self.arguments(), *options]
        if is_alone:
            command = [*ALONE, f"ip link set lo up && exec {shlex.join(command)}"]
        with self.said.open("w") as said:
            return subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, "HOME": str(self.home), "TMPDIR": str(self.tmp)},
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )

    def arguments(self) -> list[str]:
        """Return --data and all ports."""
        ports = [f"--{name}-port={number}" for name, number in self.ports.items()]
        return ["--data", str(self.data_dir), *ports]

    def wait_until_said(self, process: "subprocess.Popen[str]", text: str, timeout_s: float) -> str:
        """Wait until stderr holds `text`; return all of it."""
        deadline_s = time.monotonic() + timeout_s
        while text not in (said := self.said.read_text()):
            assert process.poll() is None, f"it ended:\n{said}"
            assert time.monotonic() < deadline_s, f"it didn't say {text!r}:\n{said}"
            time.sleep(0.1)
        return said

    def press_ctrl_c(
        self, process: "subprocess.Popen[str]", timeout_s: float = 2 * PATIENCE_S
    ) -> int:
        """Do what a terminal does at Ctrl-C; return the exit code."""
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(timeout_s)

    def kill(self, words: str) -> None:
        """End the one process of its servers whose command line holds these words, by SIGKILL."""
        (number,) = [
            number
            for number, command in _processes_with(f"TMPDIR={self.data_dir}/").items()
            if words in command
        ]
        os.kill(number, signal.SIGKILL)

    @contextmanager
    def slowed(self, factor: float) -> Iterator[None]:
        """Let every process of the demo run for one part of the time in `factor` only."""
        is_over = threading.Event()
        thread = threading.Thread(target=self._slow, args=(factor, is_over), name="slow machine")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _slow(self, factor: float, is_over: threading.Event) -> None:
        numbers: list[int] = []
        looked_s = 0.0
        while not is_over.is_set():
            if time.monotonic() - looked_s > 1.0:  # there are new ones, of commands for instance
                looked_s = time.monotonic()
                marks = (f"TMPDIR={self.tmp}\0", f"TMPDIR={self.data_dir}/")
                numbers = [one for mark in marks for one in _processes_with(mark)]
            for number, wait_s in (
                (signal.SIGSTOP, RUNS_FOR_S * (factor - 1)),
                (signal.SIGCONT, RUNS_FOR_S),
            ):
                for process in numbers:
                    with suppress(ProcessLookupError):
                        os.kill(process, number)
                time.sleep(wait_s)

    def processes(self) -> list[str]:
        """Return the command lines of all processes whose temporary files would be in the data."""
        return list(_processes_with(f"TMPDIR={self.data_dir}/").values())

    def end(self) -> None:
        """Kill what a test that failed has left running, the demo itself first."""
        for mark in (f"TMPDIR={self.tmp}\0", f"TMPDIR={self.data_dir}/"):
            for number in _processes_with(mark):
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

    def files_outside(self) -> list[str]:
        """Return what lies in the home and temporary folders, and the store's sockets in /tmp."""
        left = [str(path) for folder in (self.home, self.tmp) for path in folder.rglob("*")]
        numbers = (self.data_dir / "store-ports.json").read_text().strip("[]\n").split(", ")
        return left + [
            str(path) for n in numbers for path in Path("/tmp").glob(f"seaweedfs-*-{n}.sock")
        ]


def _processes_with(mark: str) -> dict[int, str]:
    """Return the command lines of all processes with this in their environment, by number."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    words = (folder / "cmdline").read_text().replace("\0", " ")
                    found[int(folder.name)] = words
            except OSError:
                continue  # it ended, or isn't ours
    return found


def refusal_of(*options: str) -> tuple[int, str]:
    """Run the demo that should be refused at once; return exit code and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.story", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stderr
