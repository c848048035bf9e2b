"""Each side runs with only its own extra: nothing that it imports is missing there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WALK = """
import importlib, pkgutil, sys
FROM_PICTURES = (
    "firmware.app.alerts",
    "firmware.app.camera",
    "firmware.app.consent",
    "firmware.app.doorbell",
    "firmware.app.enrolled",
    "firmware.app.live",
    "firmware.app.code_watch",
    "firmware.app.local_page",
    "firmware.app.owner_settings",
    "firmware.app.upkeep",
    "firmware.capture.",
    "firmware.motion.",
)
LATER = {
    "reportlab": ("relay.verify.court_",),
    "fido2": (
        "firmware.companion.owner.fido_key",
        "firmware.companion.authenticator.fido_device",
        "relay.tools.agency.officer_",
    ),
}
package = importlib.import_module(sys.argv[1])
path = getattr(package, "__path__", [])
names = [m.name for m in pkgutil.walk_packages(path, package.__name__ + ".")] or [sys.argv[1]]
without = []
for name in names:
    if name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # NumPy comes with Debian's picamera2 or the extra `vision`, Pillow with `replay`,
        # ReportLab with `court`, python-fido2 with `approve` or `officer`.
        is_picture = error.name in ("numpy", "PIL") and name.startswith(FROM_PICTURES)
        if not is_picture and not name.startswith(LATER.get(error.name, "-")):
            raise
        without.append(name)
unwanted = [name for name in sys.argv[2:] if name in sys.modules]
print(len(names), "modules", "unwanted:", unwanted, "without pictures:", without)
sys.exit(1 if unwanted or not names else 0)
"""


def uv() -> str:
    found = shutil.which("uv") or str(ROOT / ".state" / "uv" / "bin" / "uv")
    if not Path(found).exists():
        pytest.fail("uv is missing: run `make setup`")
    return found


def environment(folder: Path, extra: str) -> Path:
    """Make an environment from the extra's own lock and return its Python."""
    quiet = {"check": True, "cwd": ROOT, "env": os.environ | {"UV_PYTHON_DOWNLOADS": "never"}}
    subprocess.run([uv(), "venv", "-q", "--python", sys.executable, folder], **quiet)
    python = folder / "bin" / "python"
    lock = f"requirements/{extra}.txt"
    subprocess.run(
        [uv(), "pip", "sync", "-q", "--python", python, "--require-hashes", lock], **quiet
    )
    return python


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "package", "unwanted"),
    [
        (
            "firmware",
            "firmware",
            ["numpy", "PIL", "relay", "fastapi", "sqlalchemy", "boto3", "nats"],
        ),
        ("relay", "relay", ["aiortc", "av", "gpiozero", "paho", "numpy", "firmware.app.process"]),
        (
            "view",
            "firmware.companion.viewer",
            ["paho", "numpy", "relay", "firmware.errors"],
        ),
        (
            "view",
            "firmware.companion.viewer.cli",  # aiortc comes with a connection of its own
            ["aiortc", "av", "paho", "numpy", "relay", "firmware.errors"],
        ),
        (
            "approve",
            "firmware.companion.owner",
            [
                "gpiozero",
                "paho",
                "numpy",
                "PIL",
                "relay",
                "firmware.app.process",
                "firmware.capture",
            ],
        ),
        (
            "officer",
            "relay.tools.agency.officer_passkey",
            ["aiortc", "av", "sqlalchemy", "starlette"],
        ),
        ("officer", "relay.agency.jurisdiction", ["fido2", "sqlalchemy", "starlette"]),
        (
            "officer",
            "relay.tools.agency.cli",
            ["fido2", "h3", "httpx2", "sqlalchemy", "firmware.companion.owner"],
        ),
        (
            "verify",
            "relay.verify",
            ["reportlab", "relay.base.clock", "firmware.app.process", "starlette"],
        ),
        ("court", "relay.verify", ["relay.base.clock", "firmware.app.process", "starlette"]),
    ],
)
def test_each_side_imports_with_only_its_own_extra(tmp_path, extra, package, unwanted):
    python = environment(tmp_path / "env", extra)
    walked = subprocess.run(
        [python, "-c", WALK, package, *unwanted],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert walked.returncode == 0, walked.stdout + walked.stderr
