"""A program `lsblk` that shows other disks than the machine has."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def fake_lsblk(folder: Path, disks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Put it into `folder`; return the environment in which it stands before the system's."""
    program = folder / "bin" / "lsblk"
    program.parent.mkdir(exist_ok=True)
    program.with_name("disks.json").write_text(json.dumps({"blockdevices": list(disks)}))
    program.write_text('#!/bin/sh\nexec cat "${0%/*}/disks.json"\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}
