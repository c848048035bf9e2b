"""What waits at a broker: from before there were partitions, and for a partition's next owner."""

import asyncio

import msgspec
import nats
import pytest
from nats.js.api import RetentionPolicy

from firmware.protocol.events import Health, Status
from firmware.protocol.topics import ALL_EVENTS_SUBJECT, ALL_STATUS_SUBJECT, subject
from relay.bus import EVENTS_STREAM, STATUS_STREAM
from relay.fleet.broker_keys import BrokerKeys
from relay.ingest.statuses import EACH_S
from relay.store import events, fleet, health
from tests.fakes.waiting import PATIENCE_S
from tests.relay.doorbells import Doorbell, enrol
from tests.relay.servers import Broker, run_relay
from tests.relay.test_ingest import until

pytestmark = pytest.mark.services


async def test_what_waited_before_there_were_partitions_is_taken_in(own_broker: Broker, tmp_path):
    keys = BrokerKeys.load(own_broker.config.broker_keys_path)
    client = await nats.connect(own_broker.config.broker.url, nkeys_seed_str=keys.relay_seed)
    streams = client.jetstream()
    async with run_relay(own_broker.config, is_ingesting=False) as relay:
        doorbells = [await enrol(relay, tmp_path) for _ in range(3)]
        # The streams are as they were again, as an older relay left them.
        for name in (EVENTS_STREAM, STATUS_STREAM):
            await streams.delete_stream(name)
        await streams.add_stream(
            name=EVENTS_STREAM, subjects=[ALL_EVENTS_SUBJECT], retention=RetentionPolicy.WORK_QUEUE
        )
        await streams.add_stream(
            name=STATUS_STREAM, subjects=[ALL_STATUS_SUBJECT], max_msgs_per_subject=1
        )
        for name in (EVENTS_STREAM, STATUS_STREAM):
            await streams.add_consumer(name, durable_name="relay", ack_policy="explicit")
        told = {one.device: [one.event() for _ in range(5)] for one in doorbells}
        for one in doorbells:
            for event in told[one.device]:
                await streams.publish(subject(one.device, "event"), event.encode())
            status = one.status("online")
            await streams.publish(subject(one.device, "status"), status.encode())
    async with run_relay(own_broker.config) as relay:

        async def is_all_there() -> bool:
            async with relay.database.read() as tx:
                rows = {
                    device: await events.newest(tx, [device], credential_ids=[]) for device in told
                }
                states = [await fleet.get(tx, device) for device in told]
            # Seen to fail (nothing comes) without Streams._move_into_partitions.
            return all(
                [row.event for row in sorted(rows[device], key=lambda row: row.relay_seq)]
                == told[device]
                for device in told
            ) and all(row is not None and row.state == "online" for row in states)

        await until(is_all_there, PATIENCE_S)
        info = await streams.stream_info(EVENTS_STREAM, subjects_filter=ALL_EVENTS_SUBJECT)
        assert not info.state.subjects
    await client.close()


async def test_states_that_were_dealt_with_dont_come_again_to_the_next_owner(
    own_broker: Broker, tmp_path
):
    said = Health(
        measured_ms=1, camera="working", fps_milli=30_000, max_fps=30, is_clock_trusted=True
    )

    async with run_relay(own_broker.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        status = msgspec.structs.replace(doorbell.status("online"), health=said)
        await asyncio.to_thread(tell_status, doorbell, status)

        async def is_kept() -> bool:
            async with relay.database.read() as tx:
                return await health.get(tx, doorbell.device) is not None

        async def is_dealt_with() -> bool:
            _, states = await relay.bus.list_streams()
            return states.waiting == 0  # it is acknowledged after it is committed

        await until(is_kept, PATIENCE_S)
        await until(is_dealt_with, PATIENCE_S)
        async with relay.database.read() as tx:
            before = await health.get(tx, doorbell.device)
    async with run_relay(own_broker.config) as relay:
        other = await enrol(relay, tmp_path)
        await asyncio.to_thread(tell_status, other, other.status("online"))

        async def is_online() -> bool:
            async with relay.database.read() as tx:
                row = await fleet.get(tx, other.device)
            return row is not None and row.state == "online"

        await until(is_online, PATIENCE_S)
        await asyncio.sleep(EACH_S + 0.5)  # a state that came later would be committed by now
        async with relay.database.read() as tx:
            # Seen to fail (a new time of arrival) with 1 as opt_start_seq in relay/bus/streams.py.
            assert await health.get(tx, doorbell.device) == before


def tell_status(doorbell: Doorbell, status: Status) -> None:
    """Tell one state, and go without a word: the will would be another state."""
    line = doorbell.open()
    line.publish("status", status.encode())
    line.client.will_clear()
    line.close()
