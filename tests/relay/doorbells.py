"""A doorbell as the broker sees it: a key, a certificate and an MQTT client (paho)."""

import queue
import ssl
import time
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID

from firmware.protocol.claims import EnrolmentRequest
from firmware.protocol.commands import Command
from firmware.protocol.encoding import b64u, decode, device_id_of, new_id
from firmware.protocol.events import Event, Pressed, Status
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.fleet.ca import key_pem
from relay.fleet.claims import new_claim
from tests.fakes.waiting import PATIENCE_S


def csr_of(key, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def id_of(key) -> str:
    return device_id_of(
        key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def enrolment_request(secret: str, key, **changes) -> EnrolmentRequest:
    fields = {
        "secret": secret,
        "csr_pem": csr_of(key, id_of(key)),
        "sealing_key": b64u(X25519PrivateKey.generate().public_key().public_bytes_raw()),
    }
    return EnrolmentRequest(**(fields | changes))


async def claim_secret(relay) -> str:
    async with relay.database.begin() as tx:
        claim = await new_claim(
            tx,
            relay_url=relay.config.public_url,
            ca_sha256=relay.authority.sha256,
            now_ms=SystemClock().wall_ms(),
        )
    return claim.secret


class Doorbell:
    """One enrolled doorbell; `connect` gives a connection to the broker."""

    def __init__(self, device: str, port: int, key_file: Path, cert_file: Path, ca: Path) -> None:
        self.device = device
        self.host = "localhost"
        self.port = port
        self.key_file = key_file
        self.cert_file = cert_file
        self.ca = ca
        self.seq = 0

    def event(self, **changes) -> Event:
        self.seq += 1
        fields = {
            "id": new_id(),
            "device": self.device,
            "seq": self.seq,
            "time_ms": int(time.time() * 1000),
            "is_clock_trusted": True,
            "body": Pressed(),
        }
        return Event(**(fields | changes))

    def status(self, state: str) -> Status:
        return Status(
            device=self.device,
            state=state,
            time_ms=int(time.time() * 1000),
            boot_id=new_id(),
            version="test",
        )

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def open(
        self, *, client_id: str | None = None, clean: bool = True, wait_s: float = PATIENCE_S
    ) -> "Connection":
        """Connect, or raise PermissionError. Blocks: the relay answers in the test's loop."""
        connection = Connection(self, client_id or self.device, clean)
        connection.open(wait_s)
        return connection

    @contextmanager
    def connect(self, *, client_id: str | None = None, clean: bool = True):
        connection = self.open(client_id=client_id, clean=clean)
        try:
            yield connection
        finally:
            connection.close()


async def enrol(relay, folder: Path) -> Doorbell:
    """Enrol a new doorbell at the relay, as its firmware would."""
    key = ec.generate_private_key(ec.SECP256R1())
    enrolment = await relay.enrolling.enrol(enrolment_request(await claim_secret(relay), key))
    own = folder / enrolment.device
    own.mkdir()
    (own / "key.pem").write_text(key_pem(key))
    (own / "cert.pem").write_text(enrolment.certificate_pem)
    (own / "ca.pem").write_text(enrolment.ca_pem)
    return Doorbell(
        enrolment.device, enrolment.broker_port, own / "key.pem", own / "cert.pem", own / "ca.pem"
    )


class Connection:
    """One MQTT connection, its thread, and what came in. Never reconnects by itself."""

    def __init__(self, doorbell: Doorbell, client_id: str, clean: bool) -> None:
        self.doorbell = doorbell
        self.outcome: queue.Queue[str] = queue.Queue()
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.granted: queue.Queue[list] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        self.client.tls_set_context(doorbell.tls())
        self.client.on_connect = lambda *a: self.outcome.put(str(a[3]))
        self.client.on_disconnect = lambda *a: (self.lost.put(str(a[3])), self.outcome.put("lost"))
        self.client.on_message = lambda *a: self.messages.put(a[2])
        self.client.on_subscribe = lambda *a: self.granted.put(a[3])
        will = doorbell.status("offline").encode()
        self.client.will_set(topic(doorbell.device, "status"), will, qos=1, retain=True)

    def open(self, wait_s: float = PATIENCE_S) -> None:
        self.client.connect(self.doorbell.host, self.doorbell.port, keepalive=20)
        self.client.loop_start()
        try:
            outcome = self.outcome.get(timeout=wait_s)
        except queue.Empty:
            self.close()  # let in later, it would throw off whoever comes next
            raise
        if outcome != "Success":
            self.close()
            raise PermissionError(outcome)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, name: str, wait_s: float = PATIENCE_S) -> bool:
        """Subscribe; tell whether the broker granted it."""
        self.client.subscribe(name, qos=1)
        return not self.granted.get(timeout=wait_s)[0].is_failure

    def publish(
        self, kind: str, data: bytes, *, device: str | None = None, wait_s: float = PATIENCE_S
    ) -> None:
        """Publish at QoS 1 and wait for the broker's PUBACK."""
        name = topic(device or self.doorbell.device, kind)
        self.client.publish(name, data, qos=1).wait_for_publish(wait_s)

    def next_command(self, wait_s: float = PATIENCE_S) -> Command:
        """Return the next command; raise queue.Empty if none comes."""
        return decode(Command, self.messages.get(timeout=wait_s).payload, max_bytes=200_000)

    def commands(self, wait_s: float) -> list[Command]:
        """Return the commands that came, waiting for the first."""
        found = []
        try:
            found.append(self.messages.get(timeout=wait_s))
            while True:
                found.append(self.messages.get(timeout=0.2))
        except queue.Empty:
            return [decode(Command, m.payload, max_bytes=200_000) for m in found]

    def wait_for_receipt(self, event_id: str, wait_s: float = PATIENCE_S) -> bool:
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            try:
                message = self.messages.get(timeout=left)
            except queue.Empty:
                return False
            command = decode(Command, message.payload, max_bytes=200_000)
            if event_id in getattr(command.body, "event_ids", []):
                return True
        return False
