"""A hostile broker can be silent; it may not take the memory that the recording needs.

paho reads packets of up to 256 MB, keeps messages of QoS 2, and what a broker doesn't take or
acknowledge. Each test says how its attack was seen to succeed.
"""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware.link.mqtt import INBOUND_MAX_BYTES, UNACKNOWLEDGED_MAX, UNSENT_MAX, MqttConnection
from firmware.protocol.encoding import MAX_MQTT_BYTES
from tests.fakes.hostile_broker import CONNACK, Guest, Mischief, hostile_broker, message, packet
from tests.fakes.waiting import eventually, in_time

LARGEST = bytes(MAX_MQTT_BYTES)
DISCONNECT = b"\xe0\x00"
MB = 1024 * 1024
LITTLE = 4 * MB
"""What a connection may take beside the queue; the attacks send, or cause, many times that."""


@asynccontextmanager
async def connected(folder: Path, mischief: Mischief) -> AsyncIterator[MqttConnection]:
    async with hostile_broker(folder, mischief) as address:
        connection = MqttConnection(address, client_id="d", will_topic="w", will=b"offline")
        await connection.open("dw/d/command")
        try:
            yield connection
        finally:
            await in_time(connection.close("w", b"offline"))


@pytest.fixture
def peak_bytes():
    """What Python's objects took at most since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


async def test_a_message_that_is_too_large_is_never_read(tmp_path, peak_bytes):
    """64 MB of 256. Seen to take 64 MB and more without `_sock_recv`."""

    async def send_one(guest: Guest) -> None:
        await guest.send(packet(0x30, b"\x00\x01x", size=256 * MB - 1))
        for _ in range(512):
            await guest.send(LARGEST)

    async with connected(tmp_path, send_one) as connection:
        await in_time(connection.wait_closed())
    assert peak_bytes() < LITTLE


async def test_messages_of_qos_2_are_not_kept(tmp_path, peak_bytes):
    """Seen to be kept, 64 MB of them, with 0x0F as MESSAGE_FLAGS."""

    async def send_many(guest: Guest) -> None:
        for number in range(1, 513):
            await guest.send(message(LARGEST, qos=2, number=number))

    async with connected(tmp_path, send_many) as connection:
        await in_time(connection.wait_closed())
        assert not connection._client._in_messages
    assert peak_bytes() < LITTLE


async def test_messages_that_the_doorbell_doesnt_come_to_are_dropped(tmp_path, peak_bytes):
    """Seen to be kept, all of them, with the line of INBOUND_MAX_BYTES taken out."""
    is_sent = asyncio.Event()

    async def send_many(guest: Guest) -> None:
        for _ in range(512):
            await guest.send(message(LARGEST, qos=0))
        is_sent.set()
        await guest.reader.read()

    async with connected(tmp_path, send_many) as connection:
        await in_time(is_sent.wait())
        await eventually(lambda: connection._inbound.qsize() == INBOUND_MAX_BYTES // len(LARGEST))
        assert peak_bytes() < INBOUND_MAX_BYTES + LITTLE
        assert await connection.next_message() == LARGEST


async def test_a_broker_that_takes_nothing_is_left(tmp_path):
    """It sends messages that paho acknowledges, and reads no acknowledgement.

    Seen to go on without end with UNSENT_MAX taken out of `_is_expected`.
    """

    async def send_without_end(guest: Guest) -> None:
        guest.writer.transport.pause_reading()
        while True:
            await guest.send(message(b"", qos=1) * 1000)

    async with connected(tmp_path, send_without_end) as connection:
        await in_time(connection.wait_closed())
        assert len(connection._client._out_packet) <= UNSENT_MAX + 2


async def test_what_a_broker_never_acknowledges_is_told_again_rather_than_kept(tmp_path):
    """Seen to be kept without `max_queued_messages_set`.

    There is no room for a goodbye then: the connection ends so that the will speaks.
    """
    heard, said = asyncio.Event(), []

    async def acknowledge_nothing(guest: Guest) -> None:
        begun = await guest.reader.readuntil(b"told")
        heard.set()
        said.append(begun + await guest.reader.read(-1))

    async with connected(tmp_path, acknowledge_nothing) as connection:
        for _ in range(2 * UNACKNOWLEDGED_MAX):
            connection.publish("dw/d/event", b"told")
        assert len(connection._client._out_messages) == UNACKNOWLEDGED_MAX
        await in_time(heard.wait())
        await in_time(connection.close("w", b"offline"))
        await eventually(lambda: bool(said))
    assert not said[0].endswith(DISCONNECT)


async def test_an_honest_broker_hears_the_goodbye(tmp_path):
    said = []

    async def listen(guest: Guest) -> None:
        said.append(await guest.reader.read(-1))

    async with connected(tmp_path, listen) as connection:
        await in_time(connection.close("w", b"offline"))
        await eventually(lambda: bool(said))
    assert said[0].endswith(DISCONNECT)


RUDE = {
    "a second CONNACK": CONNACK,
    "CONNECT": packet(0x10, bytes(10)),
    "QoS 2": message(b"", qos=2),
    "QoS 3": message(b"", qos=3),
    "PUBREC": packet(0x50, b"\x00\x01"),
    "PUBREL": packet(0x62, b"\x00\x01"),
    "a SUBACK of 131,072 answers": packet(0x90, b"\x00\x01" + bytes(MAX_MQTT_BYTES)),
    "PINGREQ": packet(0xC0, b""),
    "PINGRESP with something in it": packet(0xD0, b"x"),
    "DISCONNECT": packet(0xE0, b""),
    "nothing that there is": packet(0x00, b""),
}


@pytest.mark.parametrize("what", RUDE)
async def test_what_a_broker_has_no_reason_to_say_ends_the_connection(tmp_path, caplog, what):
    """Nine were seen to be taken with `_is_expected` answering True."""

    async def be_rude(guest: Guest) -> None:
        await guest.send(RUDE[what])
        await guest.reader.read(-1)

    async with connected(tmp_path, be_rude) as connection:
        await in_time(connection.wait_closed())
    assert caplog.text.count("the broker sent") == 1


async def test_an_honest_broker_stays(tmp_path):
    """The largest message, both kinds, and answers to what nobody asked."""
    polite = [
        message(LARGEST, qos=0),
        message(LARGEST, qos=1),
        packet(0x3B, b"\x00\x01x\x00\x01again"),
        packet(0x40, b"\x00\x09"),
        packet(0xD0, b""),
        message(b"last", qos=1, number=2),
    ]

    async def be_polite(guest: Guest) -> None:
        for one in polite:
            await guest.send(one)
        await guest.reader.read(-1)

    async with connected(tmp_path, be_polite) as connection:
        came = [await in_time(connection.next_message()) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert not connection._closed.is_set()
    assert came == [LARGEST, LARGEST, b"again", b"last"]
