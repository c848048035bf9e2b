"""Who uses the cluster: doorbells that ring until each receipt, owners' open pages and pushes.

A doorbell speaks the real protocol, by MQTT over TLS with a certificate of the fleet's CA, at
whichever broker lets it in. A page follows `/stream` through the proxy and goes on where it broke.
"""

import asyncio
import contextlib
import itertools
import json
import queue
import random
import string
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.claims import Enrolment
from firmware.protocol.commands import Accepted, Command, Receipt, Reply
from firmware.protocol.encoding import b64u, decode, new_id
from firmware.protocol.events import Event, PushMessage, PushWanted
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.config.values import Address
from relay.errors import DatabaseLost
from relay.fleet.ca import Authority, key_pem
from relay.fleet.claims import new_claim
from relay.people.sessions import open_session
from relay.store import commands, people, push, routing
from relay.store.database import Database
from relay.store.objects import ObjectStore
from relay.store.people import Account
from tests.cluster.keeping import Keeping
from tests.cluster.servers import Cluster
from tests.relay.doorbells import Connection, Doorbell, enrolment_request

AGAIN_S = 1.5
"""So soon a doorbell tells again what has no receipt."""
LET_IN_S = 8.0
"""So long it waits for a broker that may have been killed meanwhile."""
ACK_S = 5.0
"""So long it waits for what it told to be taken by such a broker."""
PUSH_EACH = 5
"""So many presses; the relay lets one doorbell push 60 times, and then each 20 s."""
PUSH_LASTS_MS = 3_600_000
ENDS_S = 90.0
"""So long all doorbells together may wait for their last receipts: a busy machine's."""
MAX_BYTES = 200_000
API = "/api/v1"
BROWSER_ID_CHARS = 20


class _GivenUp(Exception):
    """Nobody waits for this doorbell any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One press: when it was made, receipted and shown, by the monotonic clock in seconds."""

    began_s: float
    receipt_s: float
    shown_s: float


@dataclass
class Ringing:
    """A doorbell that is pressed again and again, and answers each command as often as it comes."""

    doorbell: Doorbell
    brokers: Sequence[Address]
    each_s: float
    browser: str
    """The owner's, which is subscribed to pushes."""
    pressed: list[Event] = field(default_factory=list)
    pushed: list[bytes] = field(default_factory=list)
    """The messages that the relay took in, to be pushed."""
    began_s: list[float] = field(default_factory=list)
    """When each was pressed, by the monotonic clock."""
    took_s: list[float] = field(default_factory=list)
    """From each press to its receipt."""
    is_over: bool = False
    is_given_up: bool = False
    """Nobody waits for its receipts any more."""
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Ring in a thread of its own, which holds up no program's end."""
        self._thread = threading.Thread(target=self._run, name=self.doorbell.device, daemon=True)
        self._thread.start()

    def end(self, within_s: float) -> str:
        """Wait for the last receipt; return in words what it still waits for, or ""."""
        assert self._thread is not None
        self.is_over = True
        self._thread.join(within_s)
        waits = self._thread.is_alive()
        self.is_given_up = True
        device = self.doorbell.device
        if len(self.took_s) < len(self.pressed):
            return f"{device}: press {len(self.pressed)} still has no receipt"
        if waits:
            return f"{device}: still waits for a broker, or for the receipt of a push"
        return ""

    def _run(self) -> None:
        with contextlib.suppress(_GivenUp):
            self._ring()

    def _ring(self) -> None:
        """Ring until `is_over`, and until the last press has its receipt."""
        brokers = itertools.cycle(random.sample(self.brokers, len(self.brokers)))
        line = self._connected(brokers)
        while not self.is_over:
            event = self.doorbell.event()
            self.pressed.append(event)
            began_s = time.monotonic()
            self.began_s.append(began_s)
            line = self._tell(line, brokers, event)
            self.took_s.append(time.monotonic() - began_s)
            if len(self.pressed) % PUSH_EACH == 0:
                wanted, message = self._push(event)
                line = self._tell(line, brokers, wanted)
                self.pushed.append(message)
            self._heed(line, self.each_s * random.uniform(0.5, 1.5))
        line.close()

    def _tell(
        self, line: Connection, brokers: "itertools.cycle[Address]", event: Event
    ) -> Connection:
        """Tell an event until its receipt; return the connection on which it came."""
        while not self._told(line, event):
            if self.is_given_up:
                line.close()
                raise _GivenUp
            if not line.client.is_connected():
                line.close()
                line = self._connected(brokers)
        return line

    def _push(self, event: Event) -> tuple[Event, bytes]:
        """Return what makes the relay push, and the message, which it can't read."""
        message = f"{event.device} {event.id}".encode()
        body = PushWanted(
            for_event_id=event.id,
            expires_ms=event.time_ms + PUSH_LASTS_MS,
            messages=[PushMessage(browser=self.browser, encrypted=b64u(message))],
        )
        return self.doorbell.event(body=body), message

    def _told(self, line: Connection, event: Event) -> bool:
        try:
            line.publish("event", event.encode(), wait_s=ACK_S)
        except (RuntimeError, ValueError):  # the connection is gone
            return False
        return self._heed(line, AGAIN_S, until=event.id)

    def _heed(self, line: Connection, wait_s: float, until: str | None = None) -> bool:
        """Answer commands for a while; return whether the awaited receipt came."""
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            try:
                message: mqtt.MQTTMessage = line.messages.get(timeout=left)
            except queue.Empty:
                return False
            command = decode(Command, bytes(message.payload), max_bytes=MAX_BYTES)
            if isinstance(command.body, Receipt):
                if until in command.body.event_ids:
                    return True
                continue
            reply = Reply(
                id=new_id(),
                device=command.device,
                in_reply_to=command.id,
                time_ms=time.time_ns() // 1_000_000,
                body=Accepted(),
            )
            line.client.publish(topic(command.device, "reply"), reply.encode(), qos=1)
        return False

    def _connected(self, brokers: "itertools.cycle[Address]") -> Connection:
        while not self.is_given_up:
            broker = next(brokers)
            self.doorbell.host, self.doorbell.port = broker.host, broker.port
            try:
                line = self.doorbell.open(wait_s=LET_IN_S)
                line.publish("status", self.doorbell.status("online").encode(), wait_s=ACK_S)
                if line.subscribe(topic(self.doorbell.device, "command"), LET_IN_S):
                    return line
            except (OSError, PermissionError, RuntimeError, ValueError, queue.Empty):
                time.sleep(0.2)
        raise _GivenUp


@dataclass
class Page:
    """One owner's open page: what it was told, by doorbell and in order."""

    url: str
    token: str
    shown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    shown_at_s: dict[str, float] = field(default_factory=dict)
    """When each event was shown, by the monotonic clock."""
    broke: int = 0
    _last_id: str | None = None

    async def run(self) -> None:
        """Follow until cancelled, again whenever the stream breaks."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=40) as http:
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    await self._follow(http)
                self.broke += 1
                await asyncio.sleep(0.3)

    async def _follow(self, http: httpx2.AsyncClient) -> None:
        again = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        async with http.stream("GET", f"{API}/stream", headers=again) as answer:
            answer.raise_for_status()
            name, data = "", ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    data = line.removeprefix("data: ")
                elif line.startswith("id: "):
                    self._last_id = line.removeprefix("id: ")
                elif not line:
                    if name == "doorbell":
                        self._show(json.loads(data)["event"])
                    name, data = "", ""

    def _show(self, event: dict[str, str]) -> None:
        self.shown[event["device"]].append(event["id"])
        self.shown_at_s[event["id"]] = time.monotonic()


@dataclass
class Town:
    """All doorbells and pages, running."""

    cluster: Cluster
    database: Database
    ringing: list[Ringing]
    pages: list[Page]
    keeping: Keeping
    sent: dict[str, str] = field(default_factory=dict)
    """The device of each statement that was taken, by the command's id."""
    unreceipted: list[str] = field(default_factory=list)
    """What doorbells still waited for at the end, in words."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def begin(self) -> None:
        """Open all pages, then let all doorbells ring."""
        for page in self.pages:
            self._tasks.append(asyncio.create_task(page.run()))
        self._tasks.append(asyncio.create_task(self.keeping.run()))
        await asyncio.sleep(2)
        for one in self.ringing:
            one.start()
        self._tasks.append(asyncio.create_task(self._send_statements()))

    async def end(self) -> None:
        """Let each doorbell get its last receipt, and pages what was told; then stop.

        Doorbells that have none after ENDS_S are given up, and stand in `unreceipted`.
        """
        self._tasks.pop().cancel()
        end = time.monotonic() + ENDS_S
        with contextlib.suppress(DatabaseLost):
            # Who has gone answers nothing any more.
            while await self.unanswered() and time.monotonic() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        for one in self.ringing:
            one.is_over = True
        end = time.monotonic() + ENDS_S
        for one in self.ringing:
            waits = await asyncio.to_thread(one.end, max(0.0, end - time.monotonic()))
            self.unreceipted += [waits] if waits else []
        end = time.monotonic() + ENDS_S
        while self.unshown() and time.monotonic() < end:  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.5)
        await asyncio.sleep(5)  # what is told twice is told by then
        for task in self._tasks:
            task.cancel()

    async def _send_statements(self) -> None:
        """Send a statement to one doorbell after the other, by its owner's session."""
        async with httpx2.AsyncClient(base_url=self.cluster.url, timeout=15) as http:
            for page, one in itertools.cycle(self._owners()):
                device = one.doorbell.device
                try:
                    answer = await http.post(
                        f"{API}/doorbells/{device}/statements",
                        json={"sealed": b64u(b"x" * 64)},
                        headers={"Authorization": f"Bearer {page.token}"},
                    )
                    if answer.status_code == 202:
                        self.sent[answer.json()["command_id"]] = device
                except httpx2.HTTPError:
                    pass  # no answer, no promise
                await asyncio.sleep(0.5)

    async def unanswered(self) -> list[str]:
        """Return the statements that were taken and have no answer yet, by their commands' ids."""
        async with self.database.read() as tx:
            rows = {command_id: await commands.get(tx, command_id) for command_id in self.sent}
        return [one for one, row in rows.items() if row is None or row.reply is None]

    def unshown(self) -> set[str]:
        """Return the presses that no page was told of yet."""
        shown = {told for page in self.pages for told in page.shown_at_s}
        return {event.id for one in self.ringing for event in one.pressed} - shown

    def rings_of(self, one: Ringing) -> list[Ring]:
        """Return a doorbell's presses; KeyError if one wasn't shown."""
        page = next(page for page in self.pages if one.doorbell.device in page.shown)
        return [
            Ring(
                began_s=began_s,
                receipt_s=began_s + took_s,
                shown_s=page.shown_at_s[event.id],
            )
            for event, began_s, took_s in zip(one.pressed, one.began_s, one.took_s, strict=True)
        ]

    def _owners(self) -> list[tuple[Page, Ringing]]:
        each = len(self.ringing) // len(self.pages)
        return [(self.pages[number // each], one) for number, one in enumerate(self.ringing)]


async def settle(
    cluster: Cluster,
    database: Database,
    folder: Path,
    *,
    doorbells: int,
    owners: int,
    each_s: float,
) -> Town:
    """Enrol doorbells at the relay's own address, and give each owner an equal share of them."""
    async with httpx2.AsyncClient(base_url=cluster.url, timeout=30) as http:
        found = [await _enrol(cluster, database, http, folder) for _ in range(doorbells)]
    ringing: list[Ringing] = []
    pages = []
    share = doorbells // owners
    for number in range(owners):
        account = Account(id=new_id(), role="owner", agency=None, name=f"Owner {number}")
        browser = "".join(random.choices(string.ascii_lowercase, k=BROWSER_ID_CHARS))
        now_ms = SystemClock().wall_ms()
        async with database.begin() as tx:
            await people.add_account(tx, account, now_ms)
            for doorbell in found[number * share : (number + 1) * share]:
                await routing.link(tx, account.id, doorbell.device)
                ringing.append(Ringing(doorbell, cluster.doors, each_s, browser))
            await push.subscribe(
                tx,
                account_id=account.id,
                browser=browser,
                endpoint=cluster.push_service.endpoint(f"/push/{browser}"),
                now_ms=now_ms,
                expires_ms=None,
            )
            token = await open_session(tx, account, now_ms)
        pages.append(Page(cluster.url, token))
    keeping = Keeping(ObjectStore(cluster.config.bucket))
    return Town(cluster=cluster, database=database, ringing=ringing, pages=pages, keeping=keeping)


async def _enrol(
    cluster: Cluster, database: Database, http: httpx2.AsyncClient, folder: Path
) -> Doorbell:
    config = cluster.config
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    async with database.begin() as tx:
        claim = await new_claim(
            tx,
            relay_url=config.public_url,
            ca_sha256=authority.sha256,
            now_ms=SystemClock().wall_ms(),
        )
    key = ec.generate_private_key(ec.SECP256R1())
    while True:
        answer = await http.post(
            "/enrol",
            content=enrolment_request(claim.secret, key).encode(),
            headers={"Content-Type": "application/json"},
        )
        if answer.status_code != 429:
            break
        await asyncio.sleep(float(answer.headers["Retry-After"]))
    answer.raise_for_status()
    enrolment = decode(Enrolment, answer.content, max_bytes=MAX_BYTES)
    own = folder / enrolment.device
    own.mkdir(parents=True)
    (own / "key.pem").write_text(key_pem(key))
    (own / "cert.pem").write_text(enrolment.certificate_pem)
    (own / "ca.pem").write_text(enrolment.ca_pem)
    files = [own / name for name in ("key.pem", "cert.pem", "ca.pem")]
    return Doorbell(enrolment.device, enrolment.broker_port, *files)
