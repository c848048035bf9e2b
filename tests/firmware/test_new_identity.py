"""A new identity: enrolled beside the old one, and moved in once all else is wiped."""

import random
from pathlib import Path

import httpx2
import pytest

from firmware.config.settings import Config, LogConfig
from firmware.enrolment.client import Enroller, load_enrolment
from firmware.enrolment.cloned_identity import ClonedIdentity
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.new_identity import NewIdentity
from firmware.enrolment.shard_policy import ShardRecord, note_number, policy_in_force, seen_number
from firmware.errors import AnswerRefused, ClaimRefused, RelayUnreachable
from firmware.protocol.claims import (
    Claim,
    Enrolment,
    EnrolmentRequest,
    Invitation,
    replacement_message,
)
from firmware.protocol.commands import CardCloned
from firmware.protocol.encoding import decode, sha256_hex, unb64u
from firmware.protocol.passkeys import verify_p256
from firmware.system.factory_reset import (
    FILES,
    MOVING,
    NEXT_FILES,
    NEXT_IDENTITY,
    finish_wipe,
    order_wipe,
)
from firmware.system.factory_reset import remove_durably as remove
from relay.fleet.ca import check_csr
from tests.fakes.fleet_ca import FleetCa

RELAY = "http://localhost:8400"


class Bench:
    """An enrolled doorbell whose card was copied, and its relay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = FleetCa()
        self.keys: DeviceKeys = load_or_make_keys(folder)
        self.requests: list[EnrolmentRequest] = []
        self.is_lost = False
        self.refusal = ""
        self.identity = ClonedIdentity(folder / "cloned.json", self.keys.device)
        self.ends: list[str] = []

    async def open(self) -> NewIdentity:
        self.write_claim()
        old = await Enroller(
            data_dir=self.folder,
            claim_file=self.folder / "claim.json",
            keys=self.keys,
            http=self.http(),
            source=random.Random(1),
        ).enrol()
        await self.identity.on_card_cloned(CardCloned())
        for name in ("shard.json", "shard-policy.txt", "shard-directory.json"):
            (self.folder / name).write_text("shard b's")
        return self.again(old)

    def again(self, old: Enrolment) -> NewIdentity:
        found = NewIdentity(
            data_dir=self.folder,
            keys=self.keys,
            enrolment=old,
            identity=self.identity,
            http=self.http(),
            source=random.Random(1),
        )
        found.enrolled.add(lambda: self.ends.append("end"))
        return found

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def claim(self, relay_url: str = RELAY, ca: FleetCa | None = None) -> Claim:
        return Claim(
            relay_url=relay_url,
            secret="c2VjcmV0",
            ca_sha256=(ca or self.ca).sha256,
            expires_ms=2_000_000_000_000,
        )

    def write_claim(self) -> None:
        (self.folder / "claim.json").write_bytes(self.claim().encode())

    def link(self, **changes: object) -> str:
        return Invitation(claim=self.claim(**changes)).link  # type: ignore[arg-type]

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        asked = decode(EnrolmentRequest, request.content)
        self.requests.append(asked)
        if self.refusal:
            error = {"code": self.refusal, "message": "get a new one"}
            return httpx2.Response(403, json={"error": error})
        if self.is_lost:
            self.is_lost = False
            raise httpx2.ReadError("the answer got lost")
        certificate = self.ca.sign_request(asked.csr_pem)
        enrolment = Enrolment(
            device=check_csr(asked.csr_pem).device,
            certificate_pem=certificate,
            evidence_certificate_pem=self.ca.sign_evidence(asked.csr_pem),
            ca_pem=self.ca.pem,
            broker_host="localhost",
            broker_port=8403,
            bucket_origin="http://localhost:8405",
            relay_url=RELAY,
            log_url=f"{RELAY}/log",
        )
        return httpx2.Response(200, content=enrolment.encode())

    def live(self) -> None:
        """Leave behind what a doorbell does that has lived for a while."""
        for name in ("owners.json", "door.json", "boots.json", "library.sqlite3"):
            (self.folder / name).write_text("old")
        (self.folder / "storage.key").write_bytes(bytes(32))
        (self.folder / "clips").mkdir(exist_ok=True)
        (self.folder / "clips" / "one.dwc").write_text("old")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def is_new(bench: Bench) -> bool:
    """Return whether the folder has the new identity, whole, and nothing of the old one."""
    keys = load_or_make_keys(bench.folder)
    names = {path.name for path in bench.folder.rglob("*")}
    return (
        keys.device != bench.keys.device
        and load_enrolment(bench.folder, keys.device) is not None
        and names <= {*NEXT_FILES, "claim.json", "clips"}
    )


async def test_a_link_gives_a_new_identity_and_the_next_start_wipes_the_old(bench: Bench) -> None:
    await (await bench.open()).take(bench.link())
    bench.live()
    assert bench.ends == ["end"]
    assert load_or_make_keys(bench.folder).device == bench.keys.device  # until it ends
    assert finish_wipe(bench.folder)
    assert is_new(bench)
    assert not finish_wipe(bench.folder)


async def test_a_new_identity_stays_in_the_shard_that_the_old_one_was_led_to(bench: Bench) -> None:
    """Seen to fail: it followed the card's policy, and asked the other shard for its register."""
    identity = await bench.open()
    card = bench.folder / "policy.txt"
    card.write_bytes(b"the card's")
    record = ShardRecord(shard="b", card_policy=sha256_hex(b"the card's"))
    (bench.folder / "shard-policy.txt").write_bytes(b"shard b's")
    (bench.folder / "shard.json").write_bytes(record.encode())
    (bench.folder / "shard-directory.json").unlink()
    note_number(bench.folder, 9)
    await identity.take(bench.link())
    assert finish_wipe(bench.folder)
    config = Config(data_dir=bench.folder, log=LogConfig(policy_path=card))
    assert policy_in_force(config).read_bytes() == b"shard b's"
    assert seen_number(bench.folder) == 9


async def test_the_old_key_signs_for_the_new_one(bench: Bench) -> None:
    await (await bench.open()).take(bench.link())
    first, request = bench.requests
    new = load_or_make_keys(bench.folder / NEXT_IDENTITY)
    signature = unb64u(request.replaced_signature or "")
    assert first.replaced_signature is None
    assert verify_p256(bench.keys.signer.spki, signature, replacement_message(new.signer.spki))


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(bench: Bench) -> None:
    identity = await bench.open()
    bench.is_lost = True
    with pytest.raises(RelayUnreachable):
        await identity.take(bench.link())
    assert bench.ends == []
    await identity.take(bench.link())
    asked = [check_csr(request.csr_pem).device for request in bench.requests]
    assert asked[1] == asked[2]
    assert bench.ends == ["end"]


@pytest.mark.parametrize("link", ["", "http", "https://relay.test/doorbell#", "hello", "\u2028"])
async def test_what_is_no_link_is_refused(bench: Bench, link: str) -> None:
    with pytest.raises(ClaimRefused):
        await (await bench.open()).take(link)
    assert not finish_wipe(bench.folder)


async def test_a_link_of_another_relay_moves_the_doorbell_nowhere(bench: Bench) -> None:
    """Seen to succeed without the comparison: the other relay's answer was as good as any."""
    with pytest.raises(ClaimRefused, match="another relay"):
        await (await bench.open()).take(bench.link(relay_url="https://elsewhere.test"))
    assert len(bench.requests) == 1


async def test_a_link_that_pins_another_ca_is_refused(bench: Bench) -> None:
    with pytest.raises(AnswerRefused, match="another CA"):
        await (await bench.open()).take(bench.link(ca=FleetCa()))
    assert not finish_wipe(bench.folder)


async def test_a_refused_link_costs_nothing(bench: Bench) -> None:
    identity = await bench.open()
    bench.live()
    bench.refusal = "expired"
    with pytest.raises(ClaimRefused, match="get a new one"):
        await identity.take(bench.link())
    assert not finish_wipe(bench.folder)
    assert (bench.folder / "clips" / "one.dwc").exists()


async def test_a_doorbell_that_nobody_copied_takes_no_link(tmp_path: Path) -> None:
    """Seen to succeed without the look at the warning: any link would wipe a doorbell."""
    bench = Bench(tmp_path)
    identity = await bench.open()
    bench.identity = ClonedIdentity(tmp_path / "none.json", bench.keys.device)
    old = load_enrolment(tmp_path, bench.keys.device)
    assert old is not None
    identity = bench.again(old)
    with pytest.raises(ClaimRefused, match="copied"):
        await identity.take(bench.link())


class PowerCut(BaseException):
    """Everything ends here."""


async def test_cut_off_at_any_moment_the_next_start_finishes_it(
    bench: Bench,
) -> None:
    await (await bench.open()).take(bench.link())
    bench.live()
    cuts = 0
    while (bench.folder / NEXT_IDENTITY).exists():
        steps = 0

        def remove_one(path: Path) -> None:
            nonlocal steps
            if steps == 1:
                raise PowerCut
            steps += 1
            remove(path)

        try:
            finish_wipe(bench.folder, remove=remove_one)
        except PowerCut:
            cuts += 1
        assert cuts < 100
    assert cuts > 5
    assert is_new(bench)


@pytest.mark.parametrize("moved", range(len(NEXT_FILES) + 1))
async def test_cut_off_while_it_moves_in_the_next_start_goes_on(bench: Bench, moved: int) -> None:
    await (await bench.open()).take(bench.link())
    bench.live()
    folder = bench.folder / NEXT_IDENTITY
    kept = {name: (folder / name).read_bytes() for name in NEXT_FILES}
    finish_wipe(bench.folder)
    (bench.folder / MOVING).write_bytes(b"")  # as after a cut: so many files were moved
    folder.mkdir()
    for name in NEXT_FILES[moved:]:
        (bench.folder / name).rename(folder / name)
    assert finish_wipe(bench.folder)
    assert is_new(bench)
    assert {name: (bench.folder / name).read_bytes() for name in NEXT_FILES} == kept


async def test_a_reset_by_the_button_wipes_a_new_identity_too(bench: Bench) -> None:
    await (await bench.open()).take(bench.link())
    order_wipe(bench.folder)
    assert finish_wipe(bench.folder)
    assert not (bench.folder / NEXT_IDENTITY / "enrolment.json").exists()
    assert not any((bench.folder / name).exists() for name in FILES)
