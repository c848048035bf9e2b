"""The doorbell and doorward-view as a process of our own Python, for Home Assistant's tests."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]
COMPONENTS = REPOSITORY / "firmware" / "companion" / "home_assistant"
OUR_PYTHON = os.environ.get("DOORWARD_PYTHON", str(REPOSITORY / ".venv" / "bin" / "python"))


class DoorProcess:
    """The doorbell and doorward-view; `tell` makes something happen there."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        facts = self._said()
        self.url: str = facts["url"]
        self.token: str = facts["token"]
        self.digest: str = facts["digest"]

    def tell(self, line: str) -> dict[str, Any]:
        """Say one line; return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._said()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the doorbell's process ended"
        return json.loads(line)


@contextmanager
def door_process() -> Iterator[DoorProcess]:
    """Run them; the process finds its port."""
    command = [OUR_PYTHON, "-m", "tests.home_assistant.view_process"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        yield DoorProcess(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
