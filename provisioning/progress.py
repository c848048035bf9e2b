"""Progress of long work: a bar for people (by rich), or a line of JSON for programs."""

import json
import sys
import time
from threading import Lock
from types import TracebackType
from typing import Protocol, TextIO

from provisioning.targets import Disk
from provisioning.writer import Progress, Stage, Written

EACH_S = 0.5


class ShownProgress(Protocol):
    """What the commands tell of their progress."""

    def __enter__(self) -> "ShownProgress":
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """End."""
        ...

    def show(self, stage: Stage, size: int, part: float) -> None:
        """Show that so many bytes, and so much of the stage (0 to 1), are done."""
        ...

    def done(self, path: str, written: Written) -> None:
        """Say what is on the card."""
        ...


class BarProgress:
    """A bar a stage, with speed and the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description:13}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> "BarProgress":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(self, stage: Stage, size: int, part: float, *, name: str | None = None) -> None:
        """Move the stage's bar, or that of this name."""
        now, name = time.monotonic(), name or stage
        if name not in self._tasks:
            self._began[name] = now
            self._tasks[name] = self._bars.add_task(name, total=1.0, speed="")
        speed = size / max(0.1, now - self._began[name]) / 1e6
        self._bars.update(self._tasks[name], completed=part, speed=f"{speed:.0f} MB/s")

    def show_any(self, name: str, size: int, part: float) -> None:
        """Move the bar of this name."""
        self.show("writing", size, part, name=name)

    def done(self, path: str, written: Written) -> None:
        """Say what is on the card."""
        size = written.size / 1e9
        print(f"{path}: {size:.2f} GB are on the card, and were read back.")
        print(f"SHA-256 {written.sha256}")


class JsonProgress:
    """A line of JSON twice a second, and one at the end."""

    def __init__(self, *, path: str | None = None, output: TextIO | None = None) -> None:
        """`path` names the card in each line, where there are several."""
        self._output = output or sys.stdout
        self._named: dict[str, object] = {} if path is None else {"path": path}
        self._told_s = float("-inf")

    def __enter__(self) -> "JsonProgress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, stage: Stage, size: int, part: float) -> None:
        """Print a line, if the last is old enough, or the stage is over."""
        now = time.monotonic()
        if now - self._told_s >= EACH_S or part >= 1:
            self._told_s = now
            self._print({"stage": stage, "bytes": size, "part": round(part, 4)})

    def done(self, path: str, written: Written) -> None:
        """Print the result."""
        self._print(
            {"stage": "done", "path": path, "bytes": written.size, "sha256": written.sha256}
        )

    def _print(self, row: dict[str, object]) -> None:
        print(json.dumps(self._named | row), file=self._output, flush=True)


class BatchProgress:
    """A bar a card, or lines of JSON with the card's path."""

    def __init__(self, *, as_json: bool) -> None:
        self._bars: BarProgress | None = None if as_json else BarProgress()
        self._lock = Lock()

    def __enter__(self) -> "BatchProgress":
        if self._bars is not None:
            self._bars.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.__exit__(kind, error, trace)

    def of(self, disk: Disk) -> Progress:
        """Return the progress of one card; it is called on that card's thread."""
        lines = JsonProgress(path=disk.path)

        def show(stage: Stage, size: int, part: float) -> None:
            with self._lock:
                if self._bars is None:
                    lines.show(stage, size, part)
                else:
                    self._bars.show(stage, size, part, name=f"{disk.path} {stage}")

        return show
