"""What all commands have in common: a pipe that breaks ends them quietly, and 0 means one thing."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from firmware.protocol.command_line import PIPE_CLOSED, ZERO, quiet_pipe

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "scripts"
]


def run_unread(program: str) -> subprocess.CompletedProcess[str]:
    """Run Python whose standard output nobody reads any more."""
    reading = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    assert reading.stdin is not None
    reading.wait()
    with reading.stdin as unread:
        return subprocess.run(
            [sys.executable, "-c", program],
            stdout=unread,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_quietly_when_nobody_reads_its_help(name: str):
    module, _, function = COMMANDS[name].partition(":")
    program = f"import sys; from {module} import {function}; sys.exit({function}(['--help']))"
    done = run_unread(program)
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


LONG = """
import sys
from firmware.protocol.command_line import quiet_pipe

@quiet_pipe
def main() -> int:
    try:
        for _ in range(100_000):
            {write}
    except (OSError, Exception):
        print("a fault of one of its files", file=sys.stderr)
        return 2
    return 0

sys.exit(main())
"""


@pytest.mark.parametrize(
    "write",
    ['print("line")', 'sys.stdout.buffer.write(b"line")', 'sys.stdout.writelines(["line"])'],
)
def test_a_command_that_takes_every_fault_for_its_files_ends_quietly_too(write: str):
    """Seen without the wrapper: "doorward-verify: None: Broken pipe", and 2."""
    done = run_unread(LONG.format(write=write))
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


def test_a_short_output_that_nobody_reads_is_no_success():
    done = run_unread(LONG.format(write='print("line"); return 0'))
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


def test_another_broken_pipe_is_still_a_fault():
    @quiet_pipe
    def main() -> int:
        raise BrokenPipeError(32, "of a socket")

    with pytest.raises(BrokenPipeError):
        main()


@pytest.mark.parametrize(
    "name", ["doorward-verify", "doorward-monitor", "doorward-agency", "doorward-witness"]
)
def test_help_says_the_one_meaning_of_0(name: str, capsys: pytest.CaptureFixture[str]):
    module, _, function = COMMANDS[name].partition(":")
    with pytest.raises(SystemExit, match="0"):
        getattr(importlib.import_module(module), function)(["--help"])
    assert ZERO in " ".join(capsys.readouterr().out.split())
