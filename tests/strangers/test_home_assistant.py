"""Our component in Home Assistant from PyPI, by its own test rig and its own Python."""

import subprocess

import pytest

from tests.story.settings import REPOSITORY

PYTEST = REPOSITORY / ".state" / "home_assistant" / "bin" / "pytest"
TESTS = REPOSITORY / "tests" / "home_assistant" / "component"


@pytest.mark.skipif(not PYTEST.exists(), reason="Home Assistant isn't here (.ci/home_assistant)")
def test_the_component_works_in_home_assistant() -> None:
    command = [
        PYTEST, "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "--confcutdir", TESTS,
        "-c", TESTS / "pytest.ini", "--rootdir", TESTS, TESTS,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
