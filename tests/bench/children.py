"""Processes that are measured from outside, so that nothing of the benchmark itself counts."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

HEAR_S = 120.0
"""How long a child may say nothing; the longest that is asked of one takes a minute."""
END_S = 30.0
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
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, by another Python or behind another command (`nsenter …`) if given.

        What it logs goes into the file `errors`, or to where this program's goes. `environment` is
        added to this program's own.
        """
        command = [*prefix, str(python), "-m", module, *map(str, arguments)]
        self.started_ns = time.monotonic_ns()
        with errors.open("ab") if errors else nullcontext() as log:
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self._heard = b""
        self.pid = self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has exited."""
        return self._process.poll() is not None

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

    def hear(self, word: str, *, within_s: float = HEAR_S) -> Any:  # Any: JSON's values
        """Return the next line's value; RuntimeError if it is about something else.

        TimeoutError if none comes in time.
        """
        end_s = time.monotonic() + within_s
        while b"\n" not in self._heard and self._read_on(word, end_s):
            continue
        line, _, self._heard = self._heard.partition(b"\n")
        said = json.loads(line) if line else {}
        if word not in said:
            raise RuntimeError(f"a child of the benchmark said {line!r} instead of {word}")
        return said[word]

    def hear_all(self) -> list[dict[str, Any]]:  # Any: JSON's values
        """End the child by closing what it reads; return what else it says.

        TimeoutError if it doesn't end in time.
        """
        self.input.close()
        end_s = time.monotonic() + END_S
        while self._read_on("its end", end_s):
            continue
        if self._process.wait(timeout=END_S) != 0:
            raise RuntimeError("a child of the benchmark failed")
        said, self._heard = self._heard, b""
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

    def _read_on(self, wanted: str, end_s: float) -> bool:
        """Take in what else it says; False once it says no more."""
        stdout = self._process.stdout
        if stdout is None:
            raise RuntimeError("the child has no output")
        left_s = max(0.0, end_s - time.monotonic())
        if not select.select([stdout], [], [], left_s)[0]:
            raise TimeoutError(f"a child of the benchmark hangs: {wanted} didn't come in time")
        more = os.read(stdout.fileno(), 1 << 16)
        self._heard += more
        return bool(more)
