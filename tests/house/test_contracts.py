"""Each architecture contract of pyproject.toml breaks when it is violated.

The packages are copied once; one violating import at a time is planted there, import-linter must
name that contract and no other, and the import is taken out again.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.documents import REPOSITORY
from tests.house.graph import graph_of

PACKAGES = ("firmware", "relay", "provisioning")
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
RESULT = re.compile(r"^(\d+[a-z]?)\. .* (KEPT|BROKEN)\b", re.MULTILINE)
FIRMWARE_CLIENTS = ("paho", "aiortc", "aioice", "gpiozero", "zxingcpp", "sqlite3")
RELAY_CLIENTS = ("nats", "nkeys", "boto3", "botocore", "webauthn", "sqlalchemy")

PLANTS = {
    "1": ("firmware/system/supervision.py", ["relay.base.clock"]),
    "1b": ("firmware/capture/unit_hub.py", ["starlette"]),
    "2": ("relay/base/clock.py", ["firmware.system.clock"]),
    "2b": ("firmware/protocol/sdp.py", ["av"]),
    "3": ("firmware/clips/ring.py", ["firmware.evidence.seal"]),
    "3b": ("firmware/consent/facts.py", ["httpx2"]),
    "3c": ("firmware/decisions/lifecycle.py", ["firmware.errors"]),
    "4": ("relay/store/events.py", ["relay.custody.sequencer"]),
    "5": ("relay/web/public/app.py", ["relay.web.agency.session"]),
    "6": ("firmware/system/backoff.py", [*FIRMWARE_CLIENTS]),
    "7": ("relay/cli/invite.py", ["relay.tools.witness.errors"]),
    "8": ("firmware/companion/viewer/errors.py", ["firmware.errors"]),
    "9": ("relay/verify/checks.py", ["socket"]),
    "10": ("relay/tools/monitor/seen_checkpoints.py", ["relay.config"]),
    "11": ("provisioning/first_boot/steps.py", ["msgspec"]),
    "12": ("relay/web/agency/dashboard.py", ["relay.credit.lots"]),
}
"""By contract: where what is imported against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What import-linter said."""

    exit_code: int
    broken: set[str]
    text: str


class Copy:
    """A copy of the packages in which imports can be planted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in PACKAGES:
            shutil.copytree(
                REPOSITORY / name,
                folder / name,
                ignore=lambda _, names: {n for n in names if "." in n and not n.endswith(".py")},
            )
        shutil.copy(REPOSITORY / "pyproject.toml", folder)

    @contextmanager
    def planted(self, file: str, modules: list[str]) -> Iterator[None]:
        """Import `modules` at the end of `file` until the block is left."""
        path = self._folder / file
        before = path.read_text()
        path.write_text(before + "".join(f"import {module}\n" for module in modules))
        os.utime(path, (0, len(modules)))  # the linter's cache goes by times: make this one differ
        try:
            yield
        finally:
            path.write_text(before)

    @contextmanager
    def new_folder(self, folder: str) -> Iterator[None]:
        """Add an empty package until the block is left."""
        path = self._folder / folder
        path.mkdir()
        (path / "__init__.py").touch()
        try:
            yield
        finally:
            shutil.rmtree(path)

    def lint(self) -> Verdict:
        done = subprocess.run(
            [sys.executable, "-c", LINT, "--no-logo"],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder), "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )
        results = RESULT.findall(done.stdout)
        assert results, done.stdout + done.stderr
        broken = {number for number, result in results if result == "BROKEN"}
        return Verdict(exit_code=done.returncode, broken=broken, text=done.stdout)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("contracts"))


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["contracts"])


def test_every_contract_has_an_import_that_breaks_it():
    assert {str(contract["name"]).split(".")[0] for contract in contracts()} == set(PLANTS)


def test_the_code_as_it_is_keeps_all_contracts(copy: Copy):
    verdict = copy.lint()
    assert verdict.exit_code == 0, verdict.text
    assert verdict.broken == set()


@pytest.mark.parametrize("number", PLANTS)
def test_a_violating_import_breaks_its_contract_and_no_other(copy: Copy, number: str):
    file, modules = PLANTS[number]
    with copy.planted(file, modules):
        verdict = copy.lint()
    assert verdict.exit_code == 1
    assert verdict.broken == {number}, verdict.text


@pytest.mark.parametrize(
    ("file", "clients"),
    [
        ("firmware/system/backoff.py", FIRMWARE_CLIENTS),
        ("relay/base/clock.py", RELAY_CLIENTS),
    ],
)
def test_every_third_party_client_is_held_to_its_adapter(
    copy: Copy, file: str, clients: tuple[str, ...]
):
    module = file.removesuffix(".py").replace("/", ".")
    with copy.planted(file, list(clients)):
        verdict = copy.lint()
    found = {client for client in clients if f"{module} -> {client} " in verdict.text}
    assert found == set(clients), verdict.text


@pytest.mark.parametrize(("number", "package"), [("3", "firmware"), ("4", "relay")])
def test_a_folder_that_no_layer_names_breaks_the_layers(copy: Copy, number: str, package: str):
    with copy.new_folder(f"{package}/unplaced"):
        verdict = copy.lint()
    assert verdict.broken == {number}, verdict.text
    assert f"- {package}.unplaced" in verdict.text


@pytest.mark.parametrize(
    ("number", "package", "allowed"),
    [
        ("3c", "firmware", {"consent", "decisions", "protocol"}),
        ("8", "firmware", {"companion", "protocol", "system"}),
        ("10", "relay", {"base", "errors", "tools"}),
    ],
)
def test_an_isolated_module_is_forbidden_every_other_part(
    number: str, package: str, allowed: set[str]
):
    (contract,) = [c for c in contracts() if str(c["name"]).startswith(f"{number}. ")]
    parts = {f"{package}.{part}" for part in graph_of(package) if part not in allowed}
    assert parts <= set(contract["forbidden_modules"])
