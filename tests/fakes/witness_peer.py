"""The independent implementation of logs and witnesses: aics-tlog and aics-witness, as processes.

They want a newer Python than Doorward's, so they live in the peers' environment (.ci/peers).
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from firmware.protocol.tlog.signed_note import NoteKey, parse_key

REPOSITORY = Path(__file__).parents[2]
PEERS_PYTHON = REPOSITORY / ".state" / "peers" / "bin" / "python"
READY_WITHIN_S = 20


def reason_against() -> str:
    """Say why this machine doesn't have it; "" if it does."""
    if not PEERS_PYTHON.exists():
        return "aics-tlog and aics-witness need an environment of their own (.ci/peers makes it)"
    modules = "import aics_tlog, aics_witness"
    done = subprocess.run([PEERS_PYTHON, "-c", modules], capture_output=True, check=False)
    return "" if done.returncode == 0 else "the peers' environment is out of date (.ci/peers)"


class PeerLog:
    """aics-tlog, which answers questions; a context manager."""

    def __enter__(self) -> Self:
        program = Path(__file__).with_name("witness_peer_program.py")
        self._process = subprocess.Popen(
            [PEERS_PYTHON, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, what: str, **question: object) -> Any:  # Any: JSON
        """Return the answer to one question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **question}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class PeerWitness:
    """aics-witness, serving on a free port; a context manager."""

    def __init__(self, folder: Path, *logs: NoteKey) -> None:
        self._folder = folder
        self._logs = logs
        self.url = ""

    def __enter__(self) -> Self:
        vkey = self._run("init", "--name", "witness.example/independent", "--listen", "127.0.0.1:0")
        self.key = parse_key(vkey.strip())
        for log in self._logs:
            self._run("add-log", "--origin", log.name, "--vkey", log.vkey)
        self._process = subprocess.Popen(
            self._command("serve"), stderr=subprocess.PIPE, text=True, env=self._environment()
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "http://" in line:
                self.url = "http://" + line.split("http://")[1].split()[0].rstrip("/")
                return self
        raise RuntimeError(f"aics-witness ended with {self._process.wait()}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Post a request; return the status and the answer's body."""
        return post(f"{self.url}/add-checkpoint", body)

    def _run(self, *arguments: str) -> str:
        command = self._command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments[0]}: {done.stderr}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        first, *rest = arguments
        config = str(self._folder / "witness.json")
        return [str(PEERS_PYTHON), "-m", "aics_witness", first, "--config", config, *rest]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1"}


def post(url: str, body: bytes) -> tuple[int, bytes]:
    """POST to a witness on this machine; return the status and the answer's body."""
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=READY_WITHIN_S) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
