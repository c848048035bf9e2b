"""`doorward-witness serve` as a process of its own, on a free port."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Self

from firmware.protocol.tlog.signed_note import NoteKey, parse_key
from tests.fakes.waiting import PATIENCE_S
from tests.fakes.witness_peer import post

COMMAND = (sys.executable, "-m", "relay.tools.witness.cli")
END_WITHIN_S = PATIENCE_S


def keygen(folder: Path, *, name: str = "witness.example/own") -> NoteKey:
    """Make a witness's key and folder beneath `folder`."""
    command = [*COMMAND, "keygen", "--name", name, *_files(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse_key(done.stdout.strip())


class WitnessProcess:
    """A witness that runs; a context manager. Started again, it goes on from its folder."""

    def __init__(self, folder: Path, *logs: NoteKey) -> None:
        self._folder = folder
        self._logs = [log.vkey for log in logs]
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        command = [*COMMAND, "serve", *_files(self._folder), "--listen", "127.0.0.1:0"]
        self._process = subprocess.Popen(
            [*command, "--log", *self._logs], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if " ready on " in line:
                self.url = "http://" + line.split(" ready on ")[1].split()[0]
                return self
        raise RuntimeError(f"doorward-witness ended with {self._process.wait()}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=END_WITHIN_S)

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Post a request; return status and body, or 0 if the witness died over it."""
        with contextlib.suppress(OSError):
            return post(f"{self.url}/add-checkpoint", body)
        return 0, b""

    def died_with(self) -> int:
        """Wait for its end; return the exit code, a signal as a negative number."""
        return self._process.wait(END_WITHIN_S)


def _files(folder: Path) -> list[str]:
    return ["--key", str(folder / "witness.key"), "--data", str(folder / "witness")]
