"""One MQTT 3.1.1 connection over mutual TLS. The only importer of paho-mqtt.

paho's thread ends here: what it reports is handed to the asyncio loop, messages by one bounded
queue. When that queue is full a message is dropped; the relay repeats what wasn't answered.
One object is one connection: after it closed, make another.
"""

import asyncio
import logging
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
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware.errors import ConnectionFailed, ConnectionRefused
from firmware.protocol.encoding import MAX_MQTT_BYTES

KEEPALIVE_S = 20
ANSWER_TIMEOUT_S = 8.0
GOODBYE_TIMEOUT_S = 1.5
INBOUND_MAX = 256

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is, and the files that prove both sides."""

    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path


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
        self.inbound: asyncio.Queue[bytes] = asyncio.Queue(INBOUND_MAX)
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTv311,
            reconnect_on_failure=False,
        )
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
        """Hand one message (QoS 1) to paho; it is lost if the connection is."""
        return self._client.publish(topic, payload, qos=1, retain=retain)

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
        self._client.disconnect()
        self._client.loop_stop()

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
        if len(message.payload) > MAX_MQTT_BYTES:
            log.warning("dropped a command of %d bytes", len(message.payload))
            return
        self._hand_over(self._take, message.payload)

    # In the loop again.

    def _take(self, payload: bytes) -> None:
        if self.inbound.full():
            log.warning("dropped a command: %d wait already", INBOUND_MAX)
            return
        self.inbound.put_nowait(payload)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:  # Any: as the future's
    if not future.done():
        future.set_result(value)
