"""A power cut before or after any durable step of a release, by the number of the step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.clips.facts_store import FactsStore
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.events import PackageReady
from tests.fakes.desk import PowerCut

STEPS = ("confirm", "commit_to", "set_proof", "spend", "put", "move_statement", "tell")
"""Everything of a release that outlasts a power cut; `tell` is the outbox."""


class Fuse:
    """Counts durable steps, and cuts the power before or after the one that it was set for."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._at: int | None = None
        self._is_after = False

    def set(self, at: int | None, *, is_after: bool = False) -> None:
        self.steps, self._at, self._is_after = [], at, is_after

    def begin(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) - 1 == self._at and not self._is_after:
            raise PowerCut(step)

    def end(self) -> None:
        if len(self.steps) - 1 == self._at and self._is_after:
            raise PowerCut(self.steps[-1])


class FusedStore:
    """The real store, behind the fuse where it writes."""

    def __init__(self, store: FactsStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        if name not in STEPS:
            return method

        def fused(*values: Any, **named: Any) -> Any:
            self._fuse.begin(name)
            answer = method(*values, **named)
            self._fuse.end()
            return answer

        return fused


class FusedOutgoing(Outgoing):
    """The real folder of packages, behind the fuse; and what was ever kept there."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder)
        self._fuse = fuse

    def put(self, **package: Any) -> PackageReady:  # type: ignore[override]
        self._fuse.begin("put")
        ready = super().put(**package)
        self._fuse.end()
        return ready
