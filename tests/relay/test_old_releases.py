"""An update from 0.1.0, by that release's own code: it can't run beside today's, and is drained."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import decode
from firmware.protocol.events import Event
from relay.__main__ import main
from relay.config.settings import Config
from relay.fleet.ca import key_pem
from tests.fakes.waiting import eventually
from tests.relay import databases
from tests.relay.doorbells import Doorbell, enrolment_request
from tests.relay.old_releases import OldRelease, reason_against, unpack
from tests.relay.pressing import Pressing
from tests.relay.relay_processes import RelayProcess
from tests.relay.servers import Broker
from tests.rigs.postgres import MISSING, programs, run_postgres, url_of

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def postgres() -> Iterator[str]:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    with run_postgres(at) as folder:
        yield url_of(folder)


@pytest.fixture
def release(tmp_path: Path) -> OldRelease:
    reason = reason_against("0.1.0")
    if reason:
        pytest.skip(reason)
    return unpack("0.1.0", tmp_path / "0.1.0")


def enrol_by_http(release: OldRelease, config: Config, folder: Path) -> Doorbell:
    """Enrol a doorbell as the firmware of that time did."""
    settings = ["--config", str(config.data_dir / "relay.toml")]
    claim = decode(Claim, release.run("invite", "doorbell", *settings).encode())
    key = ec.generate_private_key(ec.SECP256R1())
    request = json.loads(enrolment_request(claim.secret, key).encode())
    body = json.dumps({name: request[name] for name in ("v", "secret", "csr_pem", "sealing_key")})
    asked = urllib.request.Request(  # noqa: S310 (http)
        f"{config.public_url}/enrol", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 (http)
        enrolment = json.load(answer)  # not of today's form
    files = {
        "key.pem": key_pem(key),
        "cert.pem": enrolment["certificate_pem"],
        "ca.pem": enrolment["ca_pem"],
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return Doorbell(
        enrolment["device"], enrolment["broker_port"], *(folder / name for name in files)
    )


async def test_0_1_0_is_drained_and_replaced_and_no_press_is_lost(
    postgres: str, release: OldRelease, tmp_path: Path
) -> None:
    config = await asyncio.to_thread(release.init, tmp_path / "relay", postgres)
    broker = Broker(config)
    await asyncio.to_thread(broker.start)
    old, new = release.process(config), RelayProcess(config, "", config.data_dir / "relay.log")
    beside = RelayProcess(config, "web,ingest,log,notify", config.data_dir / "beside.log")
    try:
        old.start()
        await asyncio.to_thread(old.wait_until_ready, page="/")
        doorbell = await asyncio.to_thread(enrol_by_http, release, config, tmp_path)
        pressing = Pressing(doorbell, [config.broker.mqtt_port])
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 5)
            # Started beside it, today's refuses and changes nothing.
            beside.start()
            assert await asyncio.to_thread(beside.wait, 60) == 1
            assert "older relays can't run beside" in beside.log.read_text()
            plan = ["migrate", "--plan", "--config", str(config.data_dir / "relay.toml")]
            assert await asyncio.to_thread(main, plan) == 1
            count = len(pressing.took_s)
            await eventually(lambda: len(pressing.took_s) >= count + 5)
            # The documented way: stop what is old, migrate, start what is new.
            began = time.monotonic()
            old.tell()
            await asyncio.to_thread(old.wait)
            assert await asyncio.to_thread(main, plan) == 0
            count = len(pressing.took_s)
            new.start()
            await asyncio.to_thread(new.wait_until_ready)
            await eventually(lambda: len(pressing.took_s) > count)
            print(f"{time.monotonic() - began:.1f} s without a receipt")
            await eventually(lambda: len(pressing.took_s) >= count + 5)
        # It doesn't come back by itself on what isn't its own any more.
        new.tell()
        await asyncio.to_thread(new.wait)
        old.start()
        assert await asyncio.to_thread(old.wait, 60) != 0
        assert "schema version 13" in old.log.read_text()
    finally:
        for process in (old, new, beside):
            process.end()
        await asyncio.to_thread(broker.stop)
    rows = databases.run_on(postgres, "SELECT payload FROM events ORDER BY relay_seq")
    stored = [decode(Event, text.encode()) for (text,) in rows]
    # Each once, in order. Seen to lack all from before the update with numbers of that time left as
    # they were: today's clean-up took them for too old.
    assert stored == pressing.pressed
