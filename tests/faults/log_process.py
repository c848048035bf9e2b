"""Both logs of a relay as a program of its own, to be killed: `log_process.py relay.toml [POINT]`.

With a POINT it kills itself the first time that the sequencer gets there.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from msgspec.structs import replace

from relay.base.clock import SystemClock
from relay.base.signals import Signals
from relay.config.loader import load
from relay.custody.keys import read_key_file, read_policy_file
from relay.custody.log_entries import LOGS
from relay.custody.logs import Logs, refreshing
from relay.custody.sequencer import Sequencer
from relay.custody.tile_store import Retention, TileStore
from relay.custody.witnesses import Witnesses
from relay.store.database import Database
from relay.store.objects import ObjectStore


async def run(config_path: Path, point: str) -> None:
    config = load(config_path)
    assert config.log is not None
    policy = read_policy_file(config.log)
    paths = {"register": config.log.register_key_path, "custody": config.log.custody_key_path}

    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    database = await Database.open(config.database)
    database.signals = Signals(look_s=0.2)  # nobody carries the test's signals here
    clock = SystemClock()
    bucket = ObjectStore(replace(config.bucket, name=config.log.bucket))
    shelf = TileStore(bucket, clock, Retention(mode="governance", days=1))
    await shelf.prepare()
    witnesses = Witnesses(policy)
    writers = {
        name: Sequencer(
            name,
            signer=read_key_file(paths[name], f"{config.log.name}/{name}", policy),
            database=database,
            shelf=shelf,
            witnesses=witnesses,
            clock=clock,
            refresh_ms=refreshing(database),
            reach=reach,
        )
        for name in LOGS
    }
    print("ready", flush=True)
    await Logs(database=database, writers=writers, policy=policy).run()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
