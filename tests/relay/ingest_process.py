"""A relay's parts as a process of its own, to be killed: `python -m tests.relay.ingest_process`.

It writes a line to its output once it works on partitions, and another whenever that changes.
"""

import asyncio
import sys
from pathlib import Path

from relay.config.loader import load
from tests.relay.servers import run_relay


async def run(folder: Path) -> None:
    """Run until killed."""
    async with run_relay(load(folder / "relay.toml")) as relay:
        print(len(relay.partitions.owned), flush=True)
        relay.partitions.on_change(lambda owned: print(len(owned), flush=True))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
