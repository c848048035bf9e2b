"""What holds for every test: processes that start quickly, no limits of Hypothesis' own on an
example's time, which a busy machine passes, and how a run is reported.

Bytecode is written, also where the environment says not to (PYTHONDONTWRITEBYTECODE, as many
containers have it): hundreds of processes start here, and each would compile all its modules anew.
"""

import gc
import logging
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

SLOWEST = 10
collect_ignore = ["home_assistant/component"]  # run by Home Assistant's own Python

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files with slow tests among the others.

    So two workers seldom have one each, which would wait for the same processor or both for
    nothing, and no worker is left alone with one at the end.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    slow = [path for path, own in files.items() if any(map(is_slow, own))]
    quick = [path for path in files if path not in slow]
    places = {path: number * len(quick) * 0.9 / len(slow) for number, path in enumerate(slow)}
    places |= {path: float(number) for number, path in enumerate(quick)}
    items[:] = [item for path in sorted(files, key=lambda one: places[one]) for item in files[path]]


def is_slow(item: pytest.Item) -> bool:
    """Tell whether a test is marked as one that takes more than ten seconds."""
    return item.get_closest_marker("slow") is not None


def pytest_collection_finish() -> None:
    """Keep what was imported out of the garbage collector's way: it ends with the process."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter find it again: extension modules report what is left at its end."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Give loggers their levels back: commands that run in a test's process quieten them."""
    quietened = [logging.getLogger(), logging.getLogger("relay.bus")]
    levels = [logger.level for logger in quietened]
    yield
    for logger, level in zip(quietened, levels, strict=True):
        logger.setLevel(level)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_browsers() -> AsyncIterator[None]:
    """Keep a file's browsers from test to test (tests/flows/browser.py: IN_ONE_BROWSER)."""
    from tests.flows.browser import keeping_browsers

    async with keeping_browsers():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the slowest tests, set-up and tear-down included, what tests have to tell beside their
    result, and why tests were skipped.
    """
    seconds: Counter[str] = Counter()
    told: list[str] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid] += report.duration
                if report.when == "call":
                    told.extend(
                        str(text) for name, text in report.user_properties if name == "told"
                    )
    for nodeid, taken_s in seconds.most_common(SLOWEST):
        terminalreporter.write_line(f"{taken_s:6.1f} s  {nodeid}")
    for text in told:
        terminalreporter.write_line(text)
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")
