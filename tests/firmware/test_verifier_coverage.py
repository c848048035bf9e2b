"""Every line and every branch of what decides whether something leaves is walked by its tests."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes.waiting import PATIENCE_S
from tests.mutation.suites import SUITES

ROOT = Path(__file__).parents[2]


def test_each_branch_of_consent_is_walked(tmp_path):
    data, report = tmp_path / "data", tmp_path / "report.json"
    measured = ["--branch", "--source=firmware.consent", f"--data-file={data}"]
    tests = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *SUITES["consent"].tests]
    subprocess.run(
        [sys.executable, "-m", "coverage", "run", *measured, *tests],
        cwd=ROOT,
        check=True,
        timeout=10 * PATIENCE_S,
    )
    subprocess.run(
        [sys.executable, "-m", "coverage", "json", "-q", f"--data-file={data}", "-o", report],
        cwd=ROOT,
        check=True,
        timeout=10 * PATIENCE_S,
    )
    files = json.loads(report.read_text())["files"]
    assert len(files) == 6, "a new room of consent: name its tests in tests/mutation/suites.py"
    for name, file in files.items():
        assert file["missing_lines"] == [], name
        assert file["missing_branches"] == [], name
        assert file["excluded_lines"] == [], f"{name} excludes lines from being counted"
