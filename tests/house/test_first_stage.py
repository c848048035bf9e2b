"""The bell rings before anything is loaded that it doesn't need: what the first stage imports.

A small board imports ten times slower than the machine that this is written on. A module that is
added here keeps somebody waiting at the door.
"""

import json
import subprocess
import sys

from tests.house.measures import REPOSITORY

OURS = frozenset(
    {
        "firmware.app.process",
        "firmware.clips.folder_lock",
        "firmware.config",
        "firmware.errors",
        "firmware.outbox.early_presses",
        "firmware.panel",
        "firmware.protocol.command_line",
        "firmware.protocol.encoding",
        "firmware.protocol.schema_words",
        "firmware.protocol.settings_file",
        "firmware.system",
        "firmware.__main__",
    }
)
"""All of ours that the first stage may import: these, and what lies in them."""
THEIRS = frozenset({"colorzero", "gpiozero", "msgspec", "rfc8785", "typing_extensions"})
FOREIGN = frozenset({"sqlite3", "http", "xml", "zoneinfo", "multiprocessing", "unittest"})
"""Of Python's own, what is large and belongs to later stages."""
MOST_MODULES = 330

PROBE = """
import json, sys
from pathlib import Path
import firmware.__main__, firmware.app.process
from firmware.config.loader import load_config
load_config(Path("firmware/doorbell.example.toml"))
print(json.dumps(sorted(sys.modules)))
"""


def test_the_first_stage_imports_only_what_a_press_needs() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    modules = set(json.loads(ran.stdout))
    packages = {"firmware", *(".".join(name.split(".")[:-1]) for name in OURS)}
    ours = {name for name in modules if name.startswith("firmware")} - packages
    more = {name for name in ours if not any(_is_in(name, one) for one in OURS)}
    assert not more, "\n".join(sorted(more))
    tops = {name.partition(".")[0] for name in modules}
    third = {name for name in tops if not name.startswith("_")} - sys.stdlib_module_names
    assert third - {"firmware", "a1_coverage", "coverage", "distutils_hack"} <= THEIRS
    assert not tops & FOREIGN
    assert len(modules) <= MOST_MODULES


def _is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + ".")
