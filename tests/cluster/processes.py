"""One server of the cluster as a process that can be killed, stopped, and started anew."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

READY_S = 90.0
"""Of a busy machine; one that ends instead is noticed at once."""


class ClusterFailed(Exception):
    """A part of the cluster didn't start, or didn't keep its word; the text says which."""


@dataclass(kw_only=True)
class Server:
    """A server's command and process. Each start appends to its log."""

    name: str
    command: Sequence[str | Path]
    folder: Path
    log: Path
    is_ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def wait_until_ready(self, timeout_s: float = READY_S) -> None:
        """Wait until it serves; raise ClusterFailed with the end of its log."""
        end = time.monotonic() + timeout_s
        while not self.is_ready():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                tail = self.log.read_text(errors="replace").splitlines()[-15:]
                raise ClusterFailed(f"{self.name} doesn't start:\n" + "\n".join(tail))
            time.sleep(0.1)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to it and its children; wait for its end unless it only stops."""
        assert self.process is not None
        os.killpg(self.process.pid, how)
        if how not in (signal.SIGSTOP, signal.SIGCONT):
            self.process.wait()

    def end(self, timeout_s: float) -> None:
        """Have it end by itself; raise ClusterFailed if it doesn't in that time."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ClusterFailed(f"{self.name} doesn't end within {timeout_s:.0f} s") from error

    def stop(self) -> None:
        """End it for good; a second call does nothing."""
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGCONT)
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:  # a busy machine; nothing here is to be kept
            self.kill()
