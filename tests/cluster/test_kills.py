"""A cluster's relays, a broker, a store node and the primary die while doorbells ring.

`make cluster ARGS=--chaos` is the same for five minutes, soak.py for an hour.
"""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.store.database import Database
from tests.cluster.chaos import DATABASE, Blow, strike
from tests.cluster.people import settle
from tests.cluster.processes import ClusterFailed
from tests.cluster.promises import check
from tests.cluster.servers import Cluster, run_cluster

pytestmark = [pytest.mark.services, pytest.mark.slow]

BLOWS = (
    Blow(name="web-1"),
    Blow(name="ingest-1"),
    Blow(name="broker-1"),
    Blow(name="log-1"),
    Blow(name="store-node-1"),
    Blow(name="ingest-2", how=signal.SIGSTOP),
    Blow(name=DATABASE),
)
RINGS_S = 3.0
"""Between two blows."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    try:
        with run_cluster(tmp_path / "cluster", print) as cluster:
            yield cluster
    except ClusterFailed as error:
        if "isn't installed" in str(error):
            pytest.skip(str(error))
        raise


async def test_nothing_is_lost_whatever_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    database = await Database.open(cluster.config.database)
    try:
        town = await settle(
            cluster, database, tmp_path / "doorbells", doorbells=8, owners=4, each_s=1.0
        )
        await town.begin()
        for blow in BLOWS:
            await asyncio.sleep(RINGS_S)
            await strike(cluster, blow, print)
        await asyncio.sleep(RINGS_S)
        await town.end()
        kept = await check(town)
        print(kept)
        assert kept.broken == ()
        assert kept.presses > len(town.ringing) * len(BLOWS)
        assert kept.statements > 0
    finally:
        await database.close()
