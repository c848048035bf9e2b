"""The story's steps as they are measured and told: one line each, or JSON at the end."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TextIO

STEP_NAMES = (
    "agreed",
    "certified",
    "enrolled",
    "paired",
    "pressed",
    "event",
    "clip",
    "live",
    "requested",
    "published",
    "granted",
    "confirmed",
    "checked",
    "uploaded",
    "downloaded",
    "opened",
    "verified",
)
TOWN_STEPS = ("agreed", "certified", "history", *STEP_NAMES[2:], "outcome", "figures")
"""The same in a town whose clock is wound."""
EMPTY_STEPS = ("enrolled",)
"""Of a town that begins empty."""


@dataclass(slots=True, kw_only=True)
class Step:
    """One step: did it hold, how long did it take, what is worth knowing."""

    name: str
    ok: bool = False
    ms: int = 0
    detail: str = ""


class Steps:
    """Measures steps and tells each as a line on `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._steps: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Measure the body; it sets `detail`. What it raises is told, and goes on up."""
        step = Step(name=name)
        self._steps.append(step)
        begun_s = time.monotonic()
        try:
            yield step
            step.ok = True
        except Exception as error:
            step.detail = str(error).partition("\n")[0]
            raise
        finally:
            step.ms = round((time.monotonic() - begun_s) * 1000)
            self._tell(step)

    def note(self, text: str) -> None:
        """Tell how far a long step is."""
        print(f"    … {text}", file=self._out, flush=True)

    @property
    def has_all_held(self) -> bool:
        """Whether every step of the story was played and held."""
        return self.have_held(STEP_NAMES)

    def have_held(self, names: Sequence[str]) -> bool:
        """Tell whether these steps were played and held, and no others were played."""
        held = tuple(step.name for step in self._steps if step.ok)
        return held == tuple(names) and len(held) == len(self._steps)

    def as_json(self) -> str:
        """Return the result as one line of JSON."""
        steps = [asdict(step) for step in self._steps]
        is_ok = any(map(self.have_held, (STEP_NAMES, TOWN_STEPS, EMPTY_STEPS)))
        return json.dumps({"ok": is_ok, "steps": steps}, ensure_ascii=False)

    def _tell(self, step: Step) -> None:
        mark = " " if step.ok else "✗"
        print(f"{mark} {step.name:<11}{step.ms:>8,} ms   {step.detail}", file=self._out, flush=True)
