"""`make cluster`: a whole cluster on this machine, which rings, and from which parts are killed.

Without options it starts everything, says the addresses, and stays until Ctrl-C. With --chaos one
thing is killed each 20 seconds, and afterwards it says what was kept. Exit codes: 0 all was kept,
1 something wasn't, or the cluster didn't start, 130 stopped.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from relay.store.database import Database
from tests.cluster.chaos import Blow, every_blow, strike
from tests.cluster.people import Town, settle
from tests.cluster.processes import ClusterFailed
from tests.cluster.promises import check
from tests.cluster.servers import Cluster, run_cluster

EACH_S = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cluster; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.getLogger("asyncio").setLevel(
        logging.ERROR
    )  # it tells of each TLS connection that ends
    try:
        if options.data is not None:
            return _run(options, options.data)
        with tempfile.TemporaryDirectory(prefix="doorward-cluster-") as folder:
            return _run(options, Path(folder) / "cluster")
    except ClusterFailed as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, folder: Path) -> int:
    with run_cluster(folder, _say) as cluster:
        return asyncio.run(_live(options, cluster, folder))


async def _live(options: argparse.Namespace, cluster: Cluster, folder: Path) -> int:
    database = await Database.open(cluster.config.database)
    try:
        _say(f"enrolling {options.doorbells} doorbells")
        town = await settle(
            cluster,
            database,
            folder / "doorbells",
            doorbells=options.doorbells,
            owners=options.owners,
            each_s=options.press_each,
        )
        await town.begin()
        _say_where(cluster, folder)
        try:
            await _pass_time(options, cluster, town)
        finally:
            _say("waiting for the last receipts")
            await town.end()
        kept = await check(town)
        print(kept)
        return 1 if kept.broken else 0
    finally:
        await database.close()


async def _pass_time(options: argparse.Namespace, cluster: Cluster, town: Town) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    seed = secrets.randbelow(10_000) if options.seed is None else options.seed
    if options.chaos:
        _say(f"kills in the order of --seed {seed}")
    blows = _blows(cluster, random.Random(seed))
    now = time.monotonic()
    end = now + options.minutes * 60 if options.chaos else float("inf")
    while not stop.is_set() and now < end:
        next_s = min(now + EACH_S, end)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(next_s - time.monotonic()):
                await stop.wait()
        pressed = sum(len(one.took_s) for one in town.ringing)
        _say(f"{pressed} presses receipted")
        now = time.monotonic()
        if options.chaos and not stop.is_set() and now < end:
            await strike(cluster, next(blows), _say)


def _blows(cluster: Cluster, dice: random.Random) -> Iterator[Blow]:
    """Yield all that can be done in a new order, again and again."""
    while True:
        blows = every_blow(cluster)
        dice.shuffle(blows)
        yield from blows


def _say_where(cluster: Cluster, folder: Path) -> None:
    _say(f"owners and officers: {cluster.url}")
    _say(f"doorbells: {', '.join(map(str, cluster.doors))}")
    _say(f"database: {cluster.pair.url}")
    _say(f"logs: {folder / 'logs'}")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make cluster", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--chaos", action="store_true", help="kill one thing each 20 s")
    parser.add_argument("--minutes", type=float, default=5, help="of chaos (5)")
    parser.add_argument("--doorbells", type=int, default=50, help="that ring (50)")
    parser.add_argument("--owners", type=int, default=10, help="with an open page each (10)")
    parser.add_argument("--press-each", type=float, default=4, metavar="S", help="seconds (4)")
    parser.add_argument("--seed", type=int, help="of the order of kills (by chance)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep everything in a new folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
