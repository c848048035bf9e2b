"""The public record with real logs: witnesses' states, proofs to take away, a monitor's report."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from firmware.protocol.custody import CustodyLeaf, LegalProcessLeaf, SlotLeaf
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.tlog.merkle import leaf_hash
from firmware.protocol.tlog.policy import CHARTER, parse_policy
from firmware.protocol.tlog.proof import check_proof
from relay.agency.agencies import Agencies
from relay.agency.register import RelayRegister
from relay.base.clock import SystemClock
from relay.credit.public_ledger import PublicLedger
from relay.custody.errors import PolicyUnbound
from relay.custody.log_entries import LOGS, LogName
from relay.custody.logs import Logs
from relay.custody.served_policy import check_served_policy
from relay.feed.service import Feed
from relay.fleet.door_notices import DoorNotices
from relay.heatmap.published import PublishedMap
from relay.map.districts import Districts
from relay.record.public_record import PublicRecord
from relay.record.witness_status import WitnessStatus
from relay.store.database import Database
from relay.store.logs import entries
from relay.web.pages import Pages
from relay.web.public.app import PublicFace
from relay.web.public.services import PublicLogs, PublicServices
from tests.fakes.compiled_templates import COMPILED
from tests.fakes.log_house import LogKeys, MemoryBucket, make_keys, make_logs
from tests.fakes.waiting import PATIENCE_S
from tests.relay.databases import open_database
from tests.relay.register_town import RegisterTown

DAY_S = 24 * 3600


@dataclass
class House:
    """A public face over real logs."""

    keys: LogKeys
    database: Database
    logs: Logs
    http: httpx2.AsyncClient
    report: Path

    async def page(self) -> str:
        return (await self.http.get("/transparency")).text


@asynccontextmanager
async def house_in(
    folder: Path, *, away: set[str], charter: str | None = ""
) -> AsyncIterator[House]:
    """Publish a charter and three custody entries, with some witnesses away.

    The policy names this `charter`; "" is the published one, None is none.
    """
    clock, database = SystemClock(), await open_database(folder / "relay.sqlite3")
    keys = make_keys(folder / "witnesses")
    keys.away |= away
    logs = make_logs(keys, database, MemoryBucket())
    running = asyncio.create_task(logs.run())
    origin = logs.origin("register")
    register = RelayRegister(logs, database, clock, origin=origin)
    town = RegisterTown(register, database)
    await town.charter()
    async with database.begin() as tx:
        for number in range(3):
            leaf = LegalProcessLeaf(
                quarter=f"2026-Q{number + 1}", kind="other", yielded=["nothing"]
            )
            entry = CustodyLeaf(body=leaf).encode()
            pending = await logs.add(tx, "custody", entry, key=str(number))
    await logs.logged(pending, timeout_s=PATIENCE_S)

    async with database.read() as tx:
        (first,) = await entries(tx, "register", 0, 1)
    policy_text = keys.policy_text
    if charter is not None:
        policy_text += f"{CHARTER} {origin} {charter or sha256_hex(first)}\n".encode()

    async def policy() -> bytes:
        async with database.read() as tx:
            await check_served_policy(tx, policy_text, origin=origin)
        return policy_text

    def time_of(log: LogName, note: bytes) -> int:
        return logs.policy.check(note, origin=logs.origin(log)).aged_ms

    report = folder / "monitor-report.json"
    face = PublicFace(
        PublicServices(
            pages=Pages(relay_name="Testtown", compiled=COMPILED),
            agencies=Agencies(register, database, clock),
            record=PublicRecord(database, register, time_of=time_of),
            door_notices=DoorNotices(database, clock),
            credits=PublicLedger(database, clock),
            feed=Feed.build(
                database, clock, Districts(), register=register, public_url="http://relay.test"
            ),
            owner_origin="http://owner.test",
            public_url="http://relay.test",
            relay_name="Testtown",
            theft_map=PublishedMap(database),
            logs=PublicLogs(
                witnessing=WitnessStatus(
                    database, logs.policy, {log: logs.origin(log) for log in LOGS}
                ),
                policy=policy,
                proof=logs.proof,
            ),
            monitor_report_path=report,
        )
    )
    transport = httpx2.ASGITransport(app=Starlette(routes=face.routes()))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://relay.test") as http:
            yield House(keys=keys, database=database, logs=logs, http=http, report=report)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_in(tmp_path, away={"cem"}) as house:
        yield house


async def test_a_witness_that_is_away_is_shown_as_missing(house: House) -> None:
    page = await house.page()
    rows = page.split('id="witnesses"')[1].split("</table>")[0].split("<tr>")[2:]
    assert [("1 entries" in row, "Not in the newest" in row) for row in rows] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert "3 entries" not in page  # the custody log's size is shown nowhere


async def test_whoever_doubts_finds_all_that_a_monitor_needs(house: House) -> None:
    page = await house.page()
    assert "doorward-monitor --policy policy.txt --log http://relay.test/log" in page
    for signer in house.keys.signers.values():
        assert signer.key.vkey in page.replace("&#43;", "+")
    served = await house.http.get("/transparency/policy")
    policy = parse_policy(served.content)
    assert (policy.logs, policy.witnesses) == (house.logs.policy.logs, house.logs.policy.witnesses)
    assert len(policy.charters) == 1


@pytest.mark.parametrize("charter", [None, "0" * 64])
async def test_a_policy_that_names_no_charter_or_another_is_not_served(
    tmp_path: Path, charter: str | None
) -> None:
    """Seen to be served: whoever takes such a copy believes another register, or any."""
    async with house_in(tmp_path, away=set(), charter=charter) as house:
        with pytest.raises(PolicyUnbound, match="not the charter that the register begins with"):
            await house.http.get("/transparency/policy")


async def test_the_proof_of_an_entry_holds_anywhere(house: House) -> None:
    told = (await house.http.get("/entries.json?log=custody")).json()["entries"]
    assert [row["index"] for row in told] == [2, 1, 0]
    assert all(row["seen"] for row in told)
    page = (await house.http.get("/entries/custody/1")).text
    assert 'href="/log/custody/tile/entries/000.p/3"' in page
    proof = await house.http.get("/entries/custody/1/proof")
    leaf = LegalProcessLeaf(quarter="2026-Q2", kind="other", yielded=["nothing"])
    entry = CustodyLeaf(body=leaf).encode()
    assert leaf_hash(entry).hex() in page
    proved = check_proof(
        proof.content,
        entry=entry,
        policy=house.logs.policy,
        origin=house.logs.origin("custody"),
    )
    assert proved.checkpoint.size == 3
    assert (await house.http.get("/entries/custody/3/proof")).status_code == 404


async def test_an_entrys_file_is_named_the_same_when_the_log_has_grown(house: House) -> None:
    """Its file's name ends with how many entries it has: that of the first tree with the entry."""
    before = (await house.http.get("/entries/custody/1")).text
    entry = CustodyLeaf(body=SlotLeaf(slot=1, root="a" * 64)).encode()
    async with house.database.begin() as tx:
        pending = await house.logs.add(tx, "custody", entry, key="slot")
    assert (await house.logs.logged(pending, timeout_s=PATIENCE_S)).size == 4
    file = 'href="/log/custody/tile/entries/000.p/3"'
    after = (await house.http.get("/entries/custody/1")).text
    assert (file in before, file in after) == (True, True)
    assert (await house.http.get("/entries/custody/3")).status_code == 404


async def test_a_monitors_report_is_shown_with_its_age(house: House) -> None:
    assert "can&#39;t be read: No such file" in await house.page()
    log = {"origin": "example.lakeland/custody", "size": 3}
    told = {"violations": [], "uncounted": [], "logs": [log]}
    house.report.write_text(json.dumps(told))
    os.utime(house.report, (DAY_S, DAY_S))
    page = await house.page()
    assert 'datetime="1970-01-02T00:00:00.000Z"' in page
    assert "every entry keeps the rules" in page
    assert (await house.http.get("/transparency/monitor-report.json")).json() == told
    house.report.write_text(json.dumps(told | {"violations": [{"what": "x"}]}))
    assert "Entries that break a rule: 1." in await house.page()
    for broken in ("[]", "no json", '{"violations": 3}'):
        house.report.write_text(broken)
        assert "can&#39;t be read" in await house.page()
        answer = await house.http.get("/transparency/monitor-report.json")
        assert answer.status_code == 404


async def test_the_record_goes_on_where_it_was(house: House) -> None:
    """Each entry is read once: what is counted twice would be seen."""
    for _ in range(3):
        told = (await house.http.get("/transparency.json")).json()
        counts = {one["name"]: one["count"] for one in told["figures"]}
        assert counts["legal_process"] == 3
    # No answer that was kept: what the book has by now.
    told = (await house.http.get("/entries.json?kind=legal_process")).json()
    assert told["total"] == 3
