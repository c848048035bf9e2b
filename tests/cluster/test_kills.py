"""Each kind of a cluster's parts dies, hangs or is cut off while doorbells ring.

`make cluster ARGS=--chaos` is the same for five minutes, soak.py for an hour.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from relay.store.database import Database
from tests.cluster.chaos import PRIMARY, STANDBY, Blow, How, can_strike, strike
from tests.cluster.people import settle
from tests.cluster.processes import ClusterFailed
from tests.cluster.promises import check
from tests.cluster.servers import PROXY, STORE, Cluster, run_cluster
from tests.rigs.switch import why_no_switch

pytestmark = [pytest.mark.services, pytest.mark.slow]

ROUNDS: tuple[tuple[tuple[Blow, ...], ...], ...] = (
    (
        (Blow(name="ingest-2", how=How.STOP),),
        (Blow(name="web-1"), Blow(name=PROXY)),
        tuple(Blow(name=name) for name in STORE),
    ),
    ((Blow(name="ingest-1"),),),
    (
        (Blow(name="broker-3", how=How.PULL_CABLE),),
        (Blow(name="log-1"), Blow(name="spare")),
    ),
    (
        (Blow(name="broker-2", how=How.PART),),
        (Blow(name=STANDBY), Blow(name=PRIMARY)),
    ),
    ((Blow(name="broker-1"),), (Blow(name=PRIMARY, how=How.STOP),)),
    (tuple(Blow(name=name, how=How.RESTART) for name in ("log-1", "ingest-1", "web-1")),),
)
"""One after the other; in each round rows at once, of parts that don't need each other."""
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
        try:
            for rows in ROUNDS:
                async with asyncio.TaskGroup() as group:
                    for row in rows:
                        group.create_task(_strike_all(cluster, row))
            await asyncio.sleep(RINGS_S)
        finally:
            await town.end()
        kept = await check(town)
        print(kept)
        assert kept.broken == ()
        assert kept.presses > len(town.ringing) * len(ROUNDS)
        assert kept.statements > 0
        assert kept.objects > 0
    finally:
        await database.close()


async def _strike_all(cluster: Cluster, row: Sequence[Blow]) -> None:
    for blow in row:
        await asyncio.sleep(RINGS_S)
        if not can_strike(cluster, blow):
            print(f"not done: {blow} ({why_no_switch()})")
            continue
        await strike(cluster, blow, print)
