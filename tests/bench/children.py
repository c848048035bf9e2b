"""Processes that are measured from outside, so that nothing of the benchmark itself counts."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[2]


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a running process, user and system.

    The kernel's own clock of that process (clock_getcpuclockid(3)), which counts in ns.
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory_bytes(pid: int) -> int:
    """Return a running process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"process {pid} has no memory")


class Child:
    """A program of the benchmark's own; it says and hears lines of JSON."""

    def __init__(
        self,
        module: str,
        *arguments: object,
        python: str | Path = sys.executable,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start it, by another Python or behind another command (`nsenter …`) if given."""
        command = [*prefix, str(python), "-m", module, *map(str, arguments)]
        self.started_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    @property
    def input(self) -> IO[bytes]:
        """What the child reads."""
        if self._process.stdin is None:
            raise RuntimeError("the child has no input")
        return self._process.stdin

    def say(self, **words: object) -> None:
        """Say one line to the child."""
        self.input.write(json.dumps(words).encode() + b"\n")
        self.input.flush()

    def hear(self, word: str) -> Any:  # Any: JSON's values
        """Return the next line's value; RuntimeError if it is about something else."""
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        said = json.loads(line) if line else {}
        if word not in said:
            raise RuntimeError(f"a child of the benchmark said {line!r} instead of {word}")
        return said[word]

    def hear_all(self) -> list[dict[str, Any]]:  # Any: JSON's values
        """End the child by closing what it reads; return what else it says."""
        self.input.close()
        said = self._process.stdout.read() if self._process.stdout is not None else b""
        if self._process.wait(timeout=30) != 0:
            raise RuntimeError("a child of the benchmark failed")
        return [json.loads(line) for line in said.splitlines()]

    def end(self) -> None:
        """See to it that it is gone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
