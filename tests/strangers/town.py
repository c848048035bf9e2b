"""A running town as a stranger meets it: addresses, files, and what was released."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.faults.town import Town
from tests.story.settings import Settings

T = TypeVar("T")
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LivingTown:
    """The town; `ask` lets its people do something meanwhile."""

    settings: Settings
    evidence: Path
    """The folder of the opened evidence; the sealed package lies beside it, `.dwpkg`."""
    device: str
    town: Town
    loop: asyncio.AbstractEventLoop

    @property
    def log_url(self) -> str:
        """Under which both logs are served."""
        return f"{self.settings.relay_url}/log"

    @property
    def fleet_ca(self) -> Path:
        """The fleet CA's certificate."""
        return self.settings.relay_dir / "ca.pem"

    def ask(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something of the town's people on their loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(ANSWER_WITHIN_S)


async def living_town(town: Town, loop: asyncio.AbstractEventLoop) -> LivingTown:
    """Return the town as strangers meet it."""
    doorbell = town.people.owner.doorbell
    assert doorbell is not None
    folder = town.settings.data_dir / "agency" / "evidence"
    (evidence,) = (path for path in folder.iterdir() if path.is_dir())
    return LivingTown(
        settings=town.settings, evidence=evidence, device=doorbell.device, town=town, loop=loop
    )
