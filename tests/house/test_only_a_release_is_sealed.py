"""Nothing short of a `Release` is sealed for an agency: mypy says so, at every call of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SNIPPET = """
from firmware.consent.facts import Decided, Decision, Grant, Release, UnverifiedStatement
from firmware.evidence.manifest import Signer
from firmware.evidence.seal import seal_release
from firmware.protocol.grants import GrantTerms, SignedStatement
from firmware.protocol.register.extract import RegisterExtract
from firmware.decisions.package_sealer import PackageSealer


async def leave(
    given: {kind}, sealer: PackageSealer, extract: RegisterExtract, signer: Signer
) -> None:
    seal_release(
        given, [], package_id="", device="", certificate_pem=b"", extract=extract, signer=signer
    )
    await sealer.seal(given)
"""
LESS = [
    "UnverifiedStatement",
    "bytes",
    "SignedStatement",
    "GrantTerms",
    "Grant",
    "Decision",
    "Decided",
    "Grant | Release",
    "Release | None",
    "object",
]


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return what mypy says of each type, all in one run."""
    folder = tmp_path_factory.mktemp("snippets")
    kinds = [*LESS, "Release"]
    for number, kind in enumerate(kinds):
        (folder / f"snippet_{number}.py").write_text(SNIPPET.format(kind=kind))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *sorted(map(str, folder.iterdir()))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.stderr == ""
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    for line in run.stdout.splitlines():
        if match := re.search(r"snippet_(\d+)\.py:\d+: error: (.*)", line):
            found[kinds[int(match[1])]].append(match[2])
    return found


@pytest.mark.parametrize("kind", LESS)
def test_nothing_less_can_be_sealed(errors, kind):
    told = errors[kind]
    assert len(told) == 2, "neither the one way out nor the one before it"
    assert all('expected "Release"' in error for error in told)


def test_a_release_can(errors):
    assert errors["Release"] == []


def test_nobody_but_the_verifier_makes_one():
    """Nor reads one from a file: it isn't a document."""
    makers = [
        path.relative_to(ROOT).as_posix()
        for part in ("firmware", "relay", "provisioning")
        for path in sorted((ROOT / part).rglob("*.py"))
        if re.search(r"\bRelease\(", path.read_text())
    ]
    assert makers == ["firmware/consent/verifier.py"]
