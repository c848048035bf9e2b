"""What firmware.link.mqtt uses of paho-mqtt's inside: a later one that has it otherwise fails here.

Then see whether BoundedClient still stops what a hostile broker sends, and mend it before the
version in pyproject.toml is let up: docs/decisions/0007,
tests/attacks/test_a_broker_cannot_fill_the_memory.py.
"""

import inspect

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


@pytest.fixture
def client() -> Client:
    return Client(CallbackAPIVersion.VERSION2)


def test_paho_reads_by_the_two_methods_that_are_overridden() -> None:
    assert list(inspect.signature(Client._sock_recv).parameters) == ["self", "bufsize"]
    assert list(inspect.signature(Client._packet_handle).parameters) == ["self"]
    reading = inspect.getsource(Client._packet_read)
    assert reading.count("_sock_recv(") == 3  # the header's first byte, its length, the rest
    assert reading.count("_packet_handle()") == 1
    assert reading.index("['have_remaining'] = 1") < reading.rindex("_sock_recv(")
    assert inspect.getsource(Client).count(".recv(") == 2  # the socket's, and what wakes the loop


def test_paho_keeps_what_is_looked_at_where_it_did(client: Client) -> None:
    header = client._in_packet
    assert (header["command"], header["have_remaining"], header["remaining_length"]) == (0, 0, 0)
    assert len(client._out_packet) == 0
    queueing = inspect.getsource(Client._packet_queue)
    assert "_out_packet.append(" in queueing
