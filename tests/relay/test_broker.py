"""What the broker lets a doorbell do, with the relay's callout behind it. All on the real broker.

Each refusal was seen to fail with its check taken out; the comment in each test says how.
"""

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from nats.aio.client import Client
from nats.errors import Error as NatsError

from firmware.protocol.commands import CloseSession
from firmware.protocol.encoding import new_id
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.bus import EVENTS_STREAM
from relay.fleet.ca import Authority, check_csr, key_pem, pem_of
from relay.store import events
from tests.fakes.waiting import PATIENCE_S
from tests.relay.doorbells import Doorbell, csr_of, enrol, id_of
from tests.relay.servers import Broker, Relay, run_relay

pytestmark = pytest.mark.services


def forged(
    folder: Path, authority: Authority, *, name: str | None, ca: Path, port: int
) -> Doorbell:
    """A doorbell with its own key and a certificate by `authority`, perhaps in another's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = check_csr(csr_of(key, id_of(key)))
    object.__setattr__(csr, "device", name or csr.device)
    certificate = authority.sign_doorbell(csr, SystemClock().wall_ms())
    folder.mkdir()
    (folder / "key.pem").write_text(key_pem(key))
    (folder / "cert.pem").write_text(pem_of(certificate))
    return Doorbell(csr.device, port, folder / "key.pem", folder / "cert.pem", ca)


async def test_a_doorbell_cannot_publish_as_another(relay: Relay, tmp_path: Path) -> None:
    liar, victim = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
    lie, truth = victim.event(), liar.event()

    def tell() -> bool:
        with liar.connect() as line:
            line.subscribe(topic(liar.device, "command"))
            line.publish("event", lie.encode(), device=victim.device)
            line.publish("event", truth.encode())
            return line.wait_for_receipt(truth.id)

    assert await asyncio.to_thread(tell)
    async with relay.database.read() as tx:
        # Seen to fail (the lie is stored) with "dw.>" in place of the doorbell's own subjects
        # in Callout._user_jwt.
        assert await events.newest(tx, [victim.device], credential_ids=[]) == []


@pytest.mark.parametrize("wanted", ["dw/{victim}/command", "dw/+/command", "dw/#", "#", "$SYS/#"])
async def test_a_doorbell_cannot_hear_another_ones_commands(
    relay: Relay, tmp_path: Path, wanted: str
) -> None:
    spy, victim = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
    line = await asyncio.to_thread(spy.open)
    is_granted = await asyncio.to_thread(line.subscribe, wanted.format(victim=victim.device))
    body = CloseSession(session_id=new_id())
    await relay.commands.send(victim.device, body, SystemClock().wall_ms() + 5000)
    heard = await asyncio.to_thread(line.commands, 0.4)
    line.close()
    # Seen to fail with "dw.>" in place of the doorbell's own subject in Callout._user_jwt.
    assert not is_granted
    assert heard == []


async def test_a_doorbell_cannot_take_over_another_ones_session(
    relay: Relay, tmp_path: Path
) -> None:
    thief, victim = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
    line = await asyncio.to_thread(lambda: victim.open(clean=False))
    # Seen to fail (the thief is let in, the victim thrown off) with the comparison of client
    # id and certificate taken out of Callout.judge.
    with pytest.raises(PermissionError):
        await asyncio.to_thread(lambda: thief.open(client_id=victim.device, clean=False))
    assert line.client.is_connected()
    assert line.lost.empty()
    line.close()


async def test_a_certificate_of_another_ca_does_not_get_through_the_handshake(
    relay: Relay, broker: Broker, tmp_path: Path
) -> None:
    other = Authority.create(SystemClock().wall_ms())
    stranger = forged(
        tmp_path / "stranger",
        other,
        name=None,
        ca=broker.config.ca_path,
        port=broker.config.broker.mqtt_port,
    )
    # The handshake refuses; the next test looks at what stands behind it.
    with pytest.raises((ssl.SSLError, ConnectionError, PermissionError)):
        await asyncio.to_thread(stranger.open)


async def test_a_ca_that_only_the_broker_trusts_certifies_no_doorbell(
    own_broker: Broker, tmp_path: Path
) -> None:
    other = Authority.create(SystemClock().wall_ms())
    own_broker.stop()
    both = own_broker.folder / "both.pem"
    both.write_text(own_broker.config.ca_path.read_text() + other.pem)
    conf = own_broker.folder / "nats.conf"
    conf.write_text(conf.read_text().replace("ca.pem", "both.pem"))
    own_broker.start()
    stranger = forged(
        tmp_path / "stranger",
        other,
        name=None,
        ca=own_broker.config.ca_path,
        port=own_broker.config.broker.mqtt_port,
    )
    async with run_relay(own_broker.config):
        # Seen to fail with Authority.has_signed taken out of Callout.judge.
        with pytest.raises(PermissionError):
            await asyncio.to_thread(stranger.open)


async def test_without_a_certificate_there_is_no_handshake(relay: Relay, broker: Broker) -> None:
    def connect() -> bytes:
        context = ssl.create_default_context(cafile=str(broker.config.ca_path))
        with socket.create_connection(
            ("localhost", broker.config.broker.mqtt_port), PATIENCE_S
        ) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as line:
                line.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
                return line.recv(4)

    # Seen to fail with `verify: true` taken out of nats_conf: CONNACK "not authorized" comes.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        assert await asyncio.to_thread(connect) != b""


async def test_the_brokers_own_certificate_is_no_doorbells(relay: Relay, broker: Broker) -> None:
    folder = broker.config.data_dir
    impostor = Doorbell(
        "a" * 20,
        broker.config.broker.mqtt_port,
        folder / "broker.key",
        folder / "broker.pem",
        folder / "ca.pem",
    )
    with pytest.raises((ssl.SSLError, ConnectionError, PermissionError)):
        await asyncio.to_thread(impostor.open)


async def test_a_plain_nats_client_without_credentials_is_refused(
    relay: Relay, broker: Broker
) -> None:
    # Seen to fail with the authorization block taken out of nats_conf and a user without
    # credentials in APP: then anybody on the loopback reads every event.
    assert not await _is_let_in(broker.config.broker.url, None, "dw.*.event")


async def test_a_plain_nats_client_with_a_doorbells_certificate_is_refused(
    own_broker: Broker, tmp_path: Path
) -> None:
    """Where an operator has mutual TLS on the NATS port too, the certificate opens nothing."""
    async with run_relay(own_broker.config) as relay:
        doorbell = await enrol(relay, tmp_path)
    own_broker.stop(signal.SIGTERM)
    conf = own_broker.folder / "nats.conf"
    text = conf.read_text()
    tls = text[text.index("  tls {") : text.index("    timeout: 5")] + "    timeout: 5\n  }\n"
    conf.write_text(f"{text}\n{tls}")
    own_broker.start()
    async with run_relay(own_broker.config, tls=doorbell.tls()):
        # Seen to fail with the checks of the connection's type and of the client id taken out
        # of Callout.judge. (test_fleet.py holds each of them alone.)
        own = f"dw.{doorbell.device}.command"
        assert not await _is_let_in(own_broker.config.broker.url, doorbell.tls(), own)


async def test_what_waits_in_the_broker_and_whom_it_asked_about_are_figures(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with run_relay(own_broker.config, is_ingesting=False) as relay:
        judged: list[str] = []
        relay.callout.on_judged = judged.append
        written: list[tuple[float, float]] = []
        relay.database.on_written = lambda *seconds: written.append(seconds)
        doorbell = await enrol(relay, tmp_path)
        assert written
        with pytest.raises(PermissionError):
            await asyncio.to_thread(lambda: doorbell.open(client_id="a" * 20))
        line = await asyncio.to_thread(doorbell.open)
        for _ in range(2):
            await asyncio.to_thread(line.publish, "event", doorbell.event().encode())
        line.close()
        assert judged == ["refused", "admitted"]
        (stream, _) = await relay.bus.list_streams()
        assert (stream.name, stream.waiting, stream.redelivered) == (EVENTS_STREAM, 2, 0)
        assert stream.leader
        assert stream.first_ms is not None
        assert 0 <= SystemClock().wall_ms() - stream.first_ms < 60_000
        (broker,) = await relay.bus.list_brokers()
        assert broker.name == "doorward"


async def test_a_revoked_doorbell_is_thrown_off_and_stays_out(relay: Relay, tmp_path: Path) -> None:
    doorbell, other = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
    line = await asyncio.to_thread(doorbell.open)
    bystander = await asyncio.to_thread(other.open)
    await relay.revocations.revoke(doorbell.device)
    # Seen to fail (Empty) with the kick taken out of Revocations._take.
    await asyncio.to_thread(line.lost.get, timeout=PATIENCE_S)
    # Seen to fail with the check of is_revoked taken out of Callout.judge.
    with pytest.raises(PermissionError):
        await asyncio.to_thread(doorbell.open)
    assert bystander.client.is_connected()
    line.close()
    bystander.close()


async def test_a_relay_that_starts_later_knows_who_is_revoked(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with run_relay(own_broker.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        await relay.revocations.revoke(doorbell.device)
    async with run_relay(own_broker.config):
        # Seen to fail with `await self.reload()` taken out of Revocations.start.
        with pytest.raises(PermissionError):
            await asyncio.to_thread(doorbell.open)


async def test_what_a_revoked_doorbell_left_in_the_broker_is_not_stored(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with run_relay(own_broker.config) as relay:
        doorbell, other = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
        line = await asyncio.to_thread(doorbell.open)
    await asyncio.to_thread(line.publish, "event", doorbell.event().encode())
    async with run_relay(own_broker.config, is_ingesting=False) as relay:
        await relay.revocations.revoke(doorbell.device)
    line.close()
    async with run_relay(own_broker.config) as relay:
        event = other.event()
        line = await asyncio.to_thread(other.open)
        await asyncio.to_thread(line.subscribe, topic(other.device, "command"))
        await asyncio.to_thread(line.publish, "event", event.encode())
        assert await asyncio.to_thread(line.wait_for_receipt, event.id)
        line.close()
        async with relay.database.read() as tx:
            # Seen to fail with the check of enrolled doorbells taken out of _reason_against.
            assert await events.newest(tx, [doorbell.device], credential_ids=[]) == []


async def _is_let_in(url: str, tls: ssl.SSLContext | None, subject: str) -> bool:
    """Tell whether a plain NATS client may listen to `subject`."""
    client = Client()
    failures: list[Exception] = []

    async def failed(error: Exception) -> None:
        failures.append(error)

    try:
        await client.connect(url, tls=tls, error_cb=failed, allow_reconnect=False)
        await client.subscribe(subject)
        await client.flush(2)
    except (NatsError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    return not failures
