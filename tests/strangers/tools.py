"""Other people's tools, and the reason where one isn't here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.story.settings import REPOSITORY

INSTALLED = REPOSITORY / ".state" / "strangers"
NODE = INSTALLED / "node_modules"
PYTHON_TOOLS = INSTALLED / "python" / "bin"


def needs(program: str, *, of: str) -> pytest.MarkDecorator:
    """Skip a test, with the reason, where a program of Debian's isn't installed."""
    is_here = shutil.which(program) is not None
    return pytest.mark.skipif(not is_here, reason=f"{program} isn't here (Debian's package {of})")


def needs_npm(package: str) -> pytest.MarkDecorator:
    """Skip a test, with the reason, where a package of npm's isn't installed."""
    is_here = (NODE / package).exists()
    return pytest.mark.skipif(not is_here, reason=f"{package} isn't here (.ci/strangers)")


def needs_pypi(program: str) -> pytest.MarkDecorator:
    """Skip a test, with the reason, where a program of PyPI's isn't installed."""
    is_here = (PYTHON_TOOLS / program).exists()
    return pytest.mark.skipif(not is_here, reason=f"{program} isn't here (.ci/strangers)")


def run(*command: str | Path, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        cwd=REPOSITORY,
    )
