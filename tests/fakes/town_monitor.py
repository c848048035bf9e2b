"""A monitor of a `Town`: what anybody finds who reads both its logs and the relay's pages."""

from pathlib import Path

from relay.tools.monitor.inspection import Inspection, inspect_logs
from relay.tools.monitor.seen_checkpoints import SeenCheckpoints
from tests.fakes.log_town import Town


class TownSource:
    """Implements `relay.tools.monitor.source.Site`."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def fetch(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        """Return a file of the logs."""
        return self._town.file(path)

    def fetch_page(self, path: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        """Return a page of the relay."""
        return self._town.page(path)


def seen(town: Town, memory: Path | None = None, *, now_ms: int | None = None) -> Inspection:
    """Return what a monitor finds now that keeps what it saw in the folder `memory`, if any."""
    at_ms = town.now_ms if now_ms is None else now_ms
    return inspect_logs(
        TownSource(town), town.policy, SeenCheckpoints(memory), wall_ms=lambda: at_ms
    )
