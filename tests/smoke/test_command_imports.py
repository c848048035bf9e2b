"""Each command imports what it needs: modules are counted, since seconds depend on the machine.

A client that a command doesn't use must not be loaded by it, neither by its help text. The bounds
leave room for a new module of ours or of Python's, not for another library.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.command_relay import make_command_relay, witness_option
from tests.house.scripts import SCRIPTS, module_of, parser_of

ROOT = Path(__file__).parents[2]
PROGRAMS = {name: module_of(name) for name in SCRIPTS}
HEAVY = frozenset(
    {
        "PIL", "aioice", "aiortc", "aiosmtplib", "aiosqlite", "asyncpg", "authlib", "av", "boto3",
        "botocore", "c2pa", "click", "cv2", "fastapi", "fido2", "gpiozero", "h3", "httpx2",
        "jinja2", "joserfc", "nacl", "nats", "nkeys", "numpy", "paho", "prometheus_client",
        "pydantic", "reportlab", "segno", "sqlalchemy", "sqlalchemy.dialects.postgresql",
        "starlette", "uvicorn", "webauthn", "zxingcpp",
    }
)  # fmt: skip
DATABASE = frozenset({"sqlalchemy", "aiosqlite"})
MOST_WITHOUT_DATABASE = 360
"""Modules of Python and of ours, msgspec and cryptography: 160 to 290 of them."""
MOST_WITH_DATABASE = 640
"""SQLAlchemy's asyncio alone is 347; these commands come to 490 to 621."""

PROBE = """
import importlib, json, sys
program, result = sys.argv[1:3]
main = importlib.import_module(program).main
codes = []
for words in json.loads(sys.argv[3]):
    try:
        codes.append(main(words))
    except SystemExit as error:
        codes.append(error.code)
with open(result, "w") as file:
    json.dump({"codes": codes, "modules": sorted(sys.modules)}, file)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a program had loaded when it ended, and the exit code of each command."""

    codes: list[int | None]
    modules: frozenset[str]

    def heavy(self, uses: frozenset[str] = frozenset()) -> set[str]:
        """The libraries that weren't to be used."""
        return set(self.modules & (HEAVY - uses))


def load(program: str, commands: list[list[str]], folder: Path) -> Loaded:
    """Run commands one after another in one fresh process."""
    result = folder / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, PROGRAMS[program], result, json.dumps(commands)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(result.read_text())
    return Loaded(codes=seen["codes"], modules=frozenset(seen["modules"]))


def commands_of(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """All of a program's commands, itself included."""
    yield []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                for words in commands_of(below):
                    yield [name, *words]


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_help_text_and_no_wrong_use_loads_a_library(program: str, tmp_path: Path):
    helps = [[*words, "--help"] for words in commands_of(parser_of(program))]

    loaded = load(program, [*helps, ["--no-such-option"]], tmp_path)

    assert loaded.codes == [*(0 for _ in helps), 2]
    assert loaded.heavy() == set()
    assert len(loaded.modules) <= MOST_WITHOUT_DATABASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Commands of a program that use the same libraries, and are run in one process.

    `{relay}` in a command is a relay's folder, and `{new}` a file that isn't there.
    """

    program: str
    commands: tuple[str, ...]
    code: int = 0
    uses: frozenset[str] = field(default_factory=frozenset)
    most: int = MOST_WITHOUT_DATABASE


def at_relay(*commands: str, uses: frozenset[str] = frozenset(), code: int = 0) -> Run:
    """Commands of the relay that open its database."""
    return Run(
        program="doorward-relay",
        commands=tuple(f"{words} --config {{relay}}/relay.toml" for words in commands),
        code=code,
        uses=DATABASE | uses,
        most=MOST_WITH_DATABASE,
    )


RUNS = {
    "relay without its database": Run(
        program="doorward-relay",
        commands=(
            "admin keygen --id ann --name Ann --out {new}",
            "admin show {relay}/change.json",
            "log policy --witness {witness} --quorum 1 --config {relay}/relay.toml",
        ),
    ),
    "relay with its database": at_relay(
        "admin show {relay}/change.json",
        "moderate list",
        "moderate people",
        "log show",
        "invite owner",
        "invite doorbell",
        "migrate",
    ),
    "relay with its logs, which tells the relays that run": at_relay(
        "legal-process add --kind subpoena --yielded nothing",
        uses=frozenset({"nats", "nkeys", "nacl"}),
    ),
    "relay init": Run(
        program="doorward-relay",
        commands=("init --data {new}",),
        uses=DATABASE | {"nkeys", "nacl"},
        most=MOST_WITH_DATABASE,
    ),
    "relay revoke": at_relay("revoke x", uses=frozenset({"nats", "nkeys", "nacl"}), code=1),
    "agency": Run(program="doorward-agency", commands=("keygen --id lake --out {new}",)),
    "witness": Run(program="doorward-witness", commands=("show --data {relay}/witness",)),
    "monitor": Run(
        program="doorward-monitor", commands=("--policy {new} --log http://localhost",), code=2
    ),
    "verify": Run(program="doorward-verify", commands=("{new}",), code=2),
    "owner": Run(program="doorward", commands=("press --data {new}",), code=1),
    "view": Run(program="doorward-view", commands=("--data {new} keygen --name desk",)),
    "firmware": Run(
        program="doorward-firmware",
        commands=("--config {relay}/doorbell.toml clips list",),
        code=1,
    ),
}


@pytest.fixture(scope="module")
def relay_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_command_relay(tmp_path_factory.mktemp("commands") / "relay")
    shutil.copy(ROOT / "firmware" / "doorbell.example.toml", folder / "doorbell.toml")
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_commands_load_only_what_they_use(name: str, relay_folder: Path, tmp_path: Path):
    run, witness_name = RUNS[name], witness_option(relay_folder)
    commands = [
        words.format(relay=relay_folder, new=tmp_path / "new", witness=witness_name).split()
        for words in run.commands
    ]

    loaded = load(run.program, commands, tmp_path)

    assert loaded.codes == [run.code] * len(commands)
    assert loaded.heavy(run.uses) == set()
    assert loaded.modules >= run.uses
    assert len(loaded.modules) <= run.most
