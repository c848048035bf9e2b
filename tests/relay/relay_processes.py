"""Whole relay processes, as an operator starts them, on one PostgreSQL database and one broker."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay.config.settings import Config
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S


class RelayProcess:
    """One `doorward-relay serve` with roles of its own, on a port of its own.

    Without roles it is one process as relay.toml says. `tree` is where its code is, and `program`
    the module that stands for the command.
    """

    def __init__(
        self,
        config: Config,
        roles: str,
        log: Path,
        *,
        tree: Path | None = None,
        program: str = "relay",
    ) -> None:
        self.port = free_port() if roles else config.listen.port
        self.metrics_port = free_port()
        self.log = log
        self._host = config.public_url.partition("//")[2]
        self._tree = tree
        self._command = [
            *(sys.executable, "-m", program, "serve"),
            *("--config", str(config.data_dir / "relay.toml")),
            *(("--role", roles, "--listen", f"127.0.0.1:{self.port}") if roles else ()),
            *(("--metrics-listen", f"127.0.0.1:{self.metrics_port}") if roles else ()),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._tree)

    def wait_until_ready(self, timeout_s: float = PATIENCE_S, *, page: str = "/readyz") -> None:
        end = time.monotonic() + timeout_s
        while self.ask(page) != 200:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the relay isn't ready: {self.log.read_text()}")
            time.sleep(0.05)

    def ask(self, path: str) -> int:
        """Return the status of the answer; 0 for none."""
        return self._ask(self.port, path)

    def ask_metrics(self) -> int:
        """Return the status of the answer of the listener for figures; 0 for none."""
        return self._ask(self.metrics_port, "/metrics")

    def _ask(self, port: int, path: str) -> int:
        url = f"http://127.0.0.1:{port}{path}"
        request = urllib.request.Request(url, headers={"Host": self._host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (http)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0

    def tell(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(how)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)


@contextmanager
def relay_processes(config: Config, *roles: str) -> Iterator[list[RelayProcess]]:
    """Run a process for each of the roles; what is written in between shows if one fails."""
    processes = [
        RelayProcess(config, some, config.data_dir / f"relay-{number}.log")
        for number, some in enumerate(roles)
    ]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until_ready()
        yield processes
    finally:
        for process in processes:
            with suppress(OSError):
                process.end()
