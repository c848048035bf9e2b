"""A PKCS#11 token made of files, by Debian's SoftHSM: for tests of what a secure element keeps."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
)
LABEL = "doorbell"
PIN = "4711-blue"
CONFIG_VARIABLE = "SOFTHSM2_CONF"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """One initialised token."""

    module: Path
    label: str
    pin_file: Path
    folder: Path


def make_soft_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    """Initialise a token below `folder`; skip the test where SoftHSM isn't installed.

    SoftHSM reads where its tokens lie from the environment when it is loaded or loaded anew.
    """
    module = next((path for path in MODULES if path.exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is missing (apt: softhsm2)")
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    add_token(LABEL)
    pin_file = folder / "pin"
    pin_file.write_text(PIN + "\n")
    pin_file.chmod(0o600)
    return SoftToken(module=module, label=LABEL, pin_file=pin_file, folder=tokens)


def add_token(label: str) -> None:
    """Initialise one more token in the folder that the environment names."""
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "00000000",
         "--pin", PIN],
        check=True,
        capture_output=True,
        env=os.environ,
        timeout=20,
    )  # fmt: skip
