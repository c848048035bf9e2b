"""One MQTT 3.1.1 connection over mutual TLS. The only importer of paho-mqtt.

paho's thread ends here: what it reports is handed to the asyncio loop, messages by one bounded
queue. When that queue is full a message is dropped; the relay repeats what wasn't answered.
One object is one connection: after it closed, make another.

The broker is taken for hostile: all that it sends, or doesn't take, costs bounded memory.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
    MQTTv311,
)
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware.errors import ConnectionFailed, ConnectionRefused
from firmware.link.rare_warning import RareWarning
from firmware.protocol.encoding import MAX_MQTT_BYTES

KEEPALIVE_S = 20
ANSWER_TIMEOUT_S = 8.0
GOODBYE_TIMEOUT_S = 1.5
INBOUND_MAX_BYTES = 8 * 1024 * 1024
INBOUND_LEAST_BYTES = 32 * 1024
"""What each message that waits counts at least: 256 may wait, or 64 of the largest."""
UNACKNOWLEDGED_MAX = 256
"""Messages of ours that the broker didn't acknowledge; further ones are dropped, and told again."""
UNSENT_MAX = 1024
"""Packets that the broker doesn't take; paho makes one of our own for each message of QoS 1."""
LONGEST: dict[int, int] = {
    MessageType.CONNACK: 2,
    MessageType.PUBLISH: MAX_MQTT_BYTES + 1024,
    MessageType.PUBACK: 2,
    MessageType.SUBACK: 3,
    MessageType.PINGRESP: 0,
}
"""All that a broker has to say to us (MQTT 3.1.1), and how many bytes may follow its header."""
MESSAGE_FLAGS = 0x0B
"""Of a message: sent again, QoS 1, retained. QoS 2 isn't among them; we never subscribe to it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Address of the broker, and the certificate files of both sides."""

    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path


class BoundedClient(Client):
    """paho's client, which closes at a packet that no honest broker sends, before reading it.

    paho takes packets of 256 MB, and keeps messages of QoS 2 until a PUBREL comes. It has no
    public way to be told less: docs/decisions/0007, tests/firmware/test_link_paho.py.
    """

    _is_greeted = False

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._in_packet["have_remaining"] and not self._is_expected():
            raise ConnectionAbortedError("the broker sent what it has no reason to")
        return super()._sock_recv(bufsize)

    def _packet_handle(self) -> MQTTErrorCode:
        if not self._is_expected():  # one without a body gets here unseen
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._is_greeted = True
        return super()._packet_handle()

    def _is_expected(self) -> bool:
        """Return whether a packet with this header may come now, and be as long as it is."""
        header, size = self._in_packet["command"], self._in_packet["remaining_length"]
        is_message = header & ~MESSAGE_FLAGS == MessageType.PUBLISH
        is_expected = (
            size <= LONGEST.get(MessageType.PUBLISH if is_message else header, -1)
            and (header == MessageType.CONNACK) is not self._is_greeted  # the first, and once
            and len(self._out_packet) <= UNSENT_MAX
        )
        if not is_expected:
            log.warning("the broker sent %d bytes after the header %#04x: closing", size, header)
        return is_expected


class MqttConnection:
    """A connection as one client id with a durable session and a will."""

    def __init__(
        self, address: BrokerAddress, *, client_id: str, will_topic: str, will: bytes
    ) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._closed = asyncio.Event()
        # Bounded where it is filled (_on_message), so that also what the loop didn't come to is.
        self._inbound: asyncio.Queue[bytes] = asyncio.Queue()
        self._handed_bytes = 0  # written by paho's thread alone ...
        self._taken_bytes = 0  # ... and by the loop alone
        self._too_large = RareWarning(log, "dropped a command of %d bytes (%d so far)")
        self._too_many = RareWarning(log, "dropped %d commands so far: too many wait already")
        self._client = BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.max_queued_messages_set(UNACKNOWLEDGED_MAX)
        self._client.will_set(will_topic, will, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    async def open(self, topic: str) -> None:
        """Connect and subscribe to `topic`, or raise a LinkError."""
        try:
            await asyncio.to_thread(self._connect)
        except FileNotFoundError as error:
            raise ConnectionFailed("a key or certificate file is missing; enrol first") from error
        except ssl.SSLError as error:
            raise ConnectionFailed(f"TLS with the broker failed: {error}") from error
        except OSError as error:
            raise ConnectionFailed(f"the broker can't be reached: {error}") from error
        self._client.loop_start()
        reason = await self._answer(self._connected)
        if reason.is_failure:
            raise ConnectionRefused(f"the broker refused this doorbell: {reason}")
        self._client.subscribe(topic, qos=1)
        granted = await self._answer(self._subscribed)
        if any(code.is_failure for code in granted):
            raise ConnectionRefused("the broker refused the subscription to our own commands")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> MQTTMessageInfo:
        """Hand one message (QoS 1) to paho; it is lost if the connection is, or too many wait."""
        return self._client.publish(topic, payload, qos=1, retain=retain)

    async def next_message(self) -> bytes:
        """Return the next message that came, in order."""
        payload = await self._inbound.get()
        self._taken_bytes += _counted_bytes(payload)
        return payload

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._closed.wait()

    async def close(self, topic: str, farewell: bytes) -> None:
        """Publish a retained farewell if we are connected, and end the connection."""
        await asyncio.to_thread(self._close, topic, farewell)

    def _connect(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self._address.ca_file)
        context.load_cert_chain(self._address.certificate_file, self._address.key_file)
        self._client.tls_set_context(context)
        self._client.connect(self._address.host, self._address.port, keepalive=KEEPALIVE_S)

    async def _answer(self, future: "asyncio.Future[Any]") -> Any:  # Any: CONNACK or SUBACK
        closed = asyncio.create_task(self._closed.wait(), name="closed early")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await asyncio.wait({future, closed}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise ConnectionFailed("the broker didn't answer in time") from error
        finally:
            closed.cancel()
        if not future.done():
            raise ConnectionFailed("the broker closed the connection")
        return future.result()

    def _close(self, topic: str, farewell: bytes) -> None:
        if self._client.is_connected():
            info = self._client.publish(topic, farewell, qos=1, retain=True)
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                info.wait_for_publish(GOODBYE_TIMEOUT_S)
            else:
                self._hang_up()
        self._client.disconnect()
        self._client.loop_stop()

    def _hang_up(self) -> None:
        """End the connection without a DISCONNECT, so that the broker publishes the will."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # From here on: called in paho's thread.

    def _hand_over(self, call: Callable[..., object], *values: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *values)

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._hand_over(_settle, self._connected, reason)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._hand_over(_settle, self._subscribed, reasons)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._hand_over(self._closed.set)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if len(payload) > MAX_MQTT_BYTES:
            self._too_large.happened(len(payload))
            return
        counted = _counted_bytes(payload)
        if self._handed_bytes - self._taken_bytes + counted > INBOUND_MAX_BYTES:
            self._too_many.happened()
            return
        self._handed_bytes += counted
        self._hand_over(self._inbound.put_nowait, payload)


def _counted_bytes(payload: bytes) -> int:
    return max(INBOUND_LEAST_BYTES, len(payload))


def _settle(future: "asyncio.Future[Any]", value: object) -> None:  # Any: as the future's
    if not future.done():
        future.set_result(value)
