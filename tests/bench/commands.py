"""L9: CPU seconds that a command takes to start, do a small thing, and end."""

import contextlib
import io
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measuring import Goal, Result, Run, Size
from tests.fakes.command_relay import make_command_relay

PEER = "python -c 'import sqlalchemy.ext.asyncio'"
PEER_WORDS = ("-c", "import sqlalchemy.ext.asyncio")
WITH_DATABASE = (
    "doorward-relay admin show {relay}/change.json --config {relay}/relay.toml",
    "doorward-relay moderate list --config {relay}/relay.toml",
    "doorward-relay log show --config {relay}/relay.toml",
    "doorward-relay invite owner --config {relay}/relay.toml",
    "doorward-relay migrate --config {relay}/relay.toml",
)
WITHOUT_DATABASE = (
    "doorward-relay admin show {relay}/change.json",
    "doorward-relay serve --help",
    "doorward-agency --help",
    "doorward-witness show --data {relay}/witness",
    "doorward-monitor --help",
    "doorward-verify --help",
    "doorward --help",
    "doorward-view --help",
    "doorward-firmware --help",
)
MODULES = {
    "doorward": "firmware.companion.owner.cli",
    "doorward-agency": "relay.tools.agency.cli",
    "doorward-firmware": "firmware.__main__",
    "doorward-monitor": "relay.tools.monitor.cli",
    "doorward-relay": "relay.__main__",
    "doorward-verify": "relay.verify.cli",
    "doorward-view": "firmware.companion.viewer.cli",
    "doorward-witness": "relay.tools.witness.cli",
}
GOAL_WITH_DATABASE = Goal(over_peer=0.3)
GOAL_WITHOUT_DATABASE = Goal(value=0.5)


def measure(size: Size) -> list[Result]:
    """Run each command in turns with the peer; the slowest of a kind is the result."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            relay = make_command_relay(Path(folder) / "relay")
        commands = {text: _words(text, relay) for text in (*WITH_DATABASE, *WITHOUT_DATABASE)} | {
            PEER: PEER_WORDS
        }
        times_ns: dict[str, list[int]] = {text: [] for text in commands}
        for _ in range(size.runs):
            for text, words in commands.items():
                times_ns[text].append(cpu_ns(words))
    slowest = _slowest(WITH_DATABASE, times_ns)
    slowest_plain = _slowest(WITHOUT_DATABASE, times_ns)
    return [
        Result(
            id="L9",
            what=f"CPU of a command that opens the relay's database: `{_shown(slowest)}`",
            unit="s",
            own_runs=_runs(times_ns[slowest]),
            peer=PEER,
            peer_runs=_runs(times_ns[PEER]),
            goal=GOAL_WITH_DATABASE,
            note=_note(WITH_DATABASE, times_ns),
        ),
        Result(
            id="L9 plain",
            what=f"CPU of a command that opens no database: `{_shown(slowest_plain)}`",
            unit="s",
            own_runs=_runs(times_ns[slowest_plain]),
            goal=GOAL_WITHOUT_DATABASE,
            note=_note(WITHOUT_DATABASE, times_ns),
        ),
    ]


def cpu_ns(words: Sequence[str]) -> int:
    """Run Python with these arguments and return its CPU time, user and system.

    Raises RuntimeError if it fails: then something else was measured.
    """
    null = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    python = sys.executable
    child = os.posix_spawn(python, [python, *words], os.environ, file_actions=null)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise RuntimeError(f"exit code {code} of python {' '.join(words)}")
    return round((usage.ru_utime + usage.ru_stime) * 1e9)


def _words(text: str, relay: Path) -> tuple[str, ...]:
    program, *words = text.format(relay=relay).split()
    run = f"import sys; from {MODULES[program]} import main; sys.exit(main())"
    return ("-c", run, *words)


def _slowest(commands: Sequence[str], times_ns: dict[str, list[int]]) -> str:
    return max(commands, key=lambda text: statistics.median(times_ns[text]))


def _runs(times_ns: Sequence[int]) -> list[Run]:
    return [Run(times_ns=[time_ns]) for time_ns in times_ns]


def _note(commands: Sequence[str], times_ns: dict[str, list[int]]) -> str:
    medians = (
        f"`{_shown(text)}` {statistics.median(times_ns[text]) / 1e9:.2f} s" for text in commands
    )
    return f"The slowest of these, each run alone: {', '.join(medians)}."


def _shown(text: str) -> str:
    return text.replace("{relay}/", "")
