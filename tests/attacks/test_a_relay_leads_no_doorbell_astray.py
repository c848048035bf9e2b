"""Attack: a relay says that a claim, or a doorbell, is another shard's, and names one it likes.

Where a doorbell gets its certificates, and which register it follows, then say: the directory that
the keys on the card signed, and, once somebody owns it, two administrators of its own register.

Seen to succeed with the check taken out: signatures, number, end, the answering relay, state, the
relay itself, policy, fleet CA, renewals elsewhere; root and administrators, whether there is an
owner, and whether the register is read whole, lately, by a trusted clock, and is of one history.
Where a check stands before something that would be missing (no register), the doorbell fails in
another way without it.
"""

import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from firmware.enrolment.client import ENROLMENT_FILE, Enroller
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.shard_move import ShardMove
from firmware.enrolment.shards import ShardGuide
from firmware.errors import (
    AnswerRefused,
    ClaimRefused,
    EnrolmentError,
    RelayUnreachable,
    ShardNotReady,
    ShardRefused,
)
from firmware.protocol.claims import Claim, Enrolment, EnrolmentRequest
from firmware.protocol.encoding import decode
from firmware.protocol.register.entries import AdminsChanged, Succession
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.register.succession import succession_to
from firmware.protocol.shards import Elsewhere, ShardDirectory, arrival_secret
from firmware.system.shard_move import NEXT_SHARD, finish_shard_move
from firmware.transparency.errors import LogContradicts, LogUnreachable
from firmware.transparency.policy_file import logs_of
from firmware.transparency.register_store import ContradictionsFile, UnprovedFile
from tests.fakes.clock import ManualClock
from tests.fakes.fleet_ca import FleetCa
from tests.fakes.followed_record import Owned, followed_record
from tests.fakes.followers import Followers
from tests.fakes.log_town import DAY_MS, NOW_MS, Town, answer_with, make_town
from tests.fakes.long_register import make_room_small
from tests.fakes.shards import DirectorySigning, listed

HERE, THERE = "https://a.example", "https://b.example"


def ends_of(town: Town) -> Succession:
    """Return what a charter says that succeeds a town's register as it is now."""
    entries = WholeRegister(entries=tuple(town.register_log.entries))
    return succession_to(entries, [town.admin(one) for one in ("ann", "bob")])


def successor(town: Town, named: Succession) -> Town:
    return make_town("lakeland-b", admin_keys=town.admin_keys, succeeds=named, age_days=0.1)


@cache
def towns() -> tuple[Town, Town]:
    """Return a town and its successor, which nobody changes."""
    old = make_town()
    return old, successor(old, ends_of(old))


@dataclass
class House:
    """One doorbell at shard a, whose relay does what `answer` says; shard b is honest."""

    folder: Path
    old: Town = field(default_factory=lambda: towns()[0])
    new: Town = field(default_factory=lambda: towns()[1])
    signing: DirectorySigning = field(default_factory=DirectorySigning)
    clock: ManualClock = field(default_factory=lambda: ManualClock(wall_ms=NOW_MS))
    cas: dict[str, FleetCa] = field(default_factory=lambda: {HERE: FleetCa(), THERE: FleetCa()})
    answer: Elsewhere | None = None
    asked: list[str] = field(default_factory=list)
    there_url: str = THERE
    """What the shard calls itself in its enrolments."""
    replies: list[httpx2.Response] = field(default_factory=list)
    """What the first shard's relay answers before what it leads to."""
    replies_there: list[httpx2.Response] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """Of the claims that it was asked with."""

    def __post_init__(self) -> None:
        self.keys = load_or_make_keys(self.folder)
        self.card = self.folder / "policy.txt"
        self.card.write_bytes(self.signing.policy(self.old.policy_text))
        claim = Claim(
            relay_url=HERE,
            secret="c2VjcmV0",
            ca_sha256=self.cas[HERE].sha256,
            expires_ms=NOW_MS + DAY_MS,
        )
        (self.folder / "claim.json").write_bytes(claim.encode())
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._serve))
        self.guide = ShardGuide(
            data_dir=self.folder, policy_path=self.card, http=self.http, clock=self.clock
        )
        self.enroller = Enroller(
            data_dir=self.folder,
            claim_file=self.folder / "claim.json",
            keys=self.keys,
            http=self.http,
            source=random.Random(7),
            guide=self.guide,
        )
        self.answer = self.signing.elsewhere(self.directory(), "b")

    def directory(self, *, number: int = 5, **of_b: Any) -> ShardDirectory:
        policies = {HERE: self.old.policy_text, THERE: self.new.policy_text}
        a, b = (
            listed(name, url, ca_sha256=self.cas[url].sha256, policy=policies[url])
            for name, url in (("a", HERE), ("b", THERE))
        )
        return ShardDirectory(
            number=number,
            made_ms=NOW_MS - DAY_MS,
            expires_ms=NOW_MS + DAY_MS,
            shards=(a, msgspec.structs.replace(b, **of_b)),
        )

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        origin = f"{request.url.scheme}://{request.url.host}"
        self.asked.append(f"{origin}{request.url.path}")
        if request.url.path == "/transparency/policy":
            return answer_with(self.new.policy_text, request)
        if request.url.path.startswith("/log/"):
            data = self.new.file(request.url.path.removeprefix("/log/"))
            return httpx2.Response(404) if data is None else answer_with(data, request)
        self.secrets.append(decode(EnrolmentRequest, request.content).secret)
        replies = self.replies if origin == HERE else self.replies_there
        if replies:
            return replies.pop(0)
        if origin == HERE:
            assert self.answer is not None
            return httpx2.Response(421, content=self.answer.encode())
        return httpx2.Response(200, content=self._enrolment(request, origin).encode())

    def _enrolment(self, request: httpx2.Request, origin: str) -> Enrolment:
        asked, ca = decode(EnrolmentRequest, request.content), self.cas[origin]
        return Enrolment(
            device=self.keys.device,
            certificate_pem=ca.sign_request(asked.csr_pem),
            evidence_certificate_pem=ca.sign_evidence(asked.csr_pem),
            ca_pem=ca.pem,
            broker_host="b.example",
            broker_port=8403,
            bucket_origin="https://store.b.example",
            relay_url=self.there_url,
            log_url=f"{THERE}/log",
        )

    @property
    def is_enrolled(self) -> bool:
        return (self.folder / ENROLMENT_FILE).exists()


class Following:
    """A doorbell's follower, with its `PublicRecord`, which other registers are held to."""

    def __init__(self, house: House, *, is_owned: bool = True) -> None:
        self.followers = Followers(house.folder)
        self.follower = self.followers.of(house.old)
        self.record = followed_record(
            house.folder,
            owners=Owned(is_owned=is_owned),
            http=house.http,
            clock=self.followers.clock,
            logs=logs_of(house.old.policy),
            follower=self.follower,
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def refused(house: House) -> str:
    """Let the doorbell enrol, and return why it isn't led; it must not have asked elsewhere."""
    with pytest.raises(ShardRefused) as refusal:
        await house.enroller.enrol()
    assert not house.is_enrolled
    assert not (house.folder / "shard.json").exists()
    assert set(house.asked) <= {f"{HERE}/enrol", f"{THERE}/transparency/policy"}
    return refusal.value.reason


async def test_a_directory_of_the_cards_keys_leads_to_the_other_shard(house: House) -> None:
    enrolment = await house.enroller.enrol()
    assert enrolment.relay_url == THERE
    assert (house.folder / "shard-policy.txt").read_bytes() == house.new.policy_text


@pytest.mark.parametrize("by", [0, 1])
async def test_too_few_signatures_lead_nowhere(house: House, by: int) -> None:
    house.answer = (
        house.signing.elsewhere(house.directory(), "b", by=by)
        if by
        else Elsewhere(shard="b", directory=house.answer.directory.partition("\n\n")[0] + "\n")  # type: ignore[union-attr]
    )
    assert await refused(house) == "unsigned"


async def test_other_peoples_signatures_lead_nowhere(house: House) -> None:
    house.answer = DirectorySigning().elsewhere(house.directory(), "b")
    assert await refused(house) == "unsigned"


async def test_one_signers_two_signatures_are_one(house: House) -> None:
    note = house.signing.note(house.directory(), by=1)
    line = note.rpartition(b"\n\n")[2]
    house.answer = Elsewhere(shard="b", directory=(note + line).decode())
    assert await refused(house) == "unsigned"


async def test_an_older_edition_leads_nowhere(house: House) -> None:
    await house.enroller.enrol()
    (house.folder / ENROLMENT_FILE).unlink()
    house.answer = house.signing.elsewhere(house.directory(number=4), "b")
    with pytest.raises(ShardRefused, match="number 5 was seen before"):
        await house.enroller.enrol()


async def test_an_edition_counts_as_seen_also_where_nobody_went_by_it(house: House) -> None:
    """A shard was closed for good reason. Seen to succeed where a whole move notes the number."""
    house.answer = house.signing.elsewhere(house.directory(number=6, state="closed"), "b")
    assert await refused(house) == "closed"
    house.answer = house.signing.elsewhere(house.directory(number=5), "b")
    assert await refused(house) == "rolled_back"
    house.answer = house.signing.elsewhere(house.directory(number=9), "b", by=1)
    assert await refused(house) == "unsigned"
    house.answer = house.signing.elsewhere(house.directory(number=6), "b")
    await house.enroller.enrol()


async def test_nobody_knows_which_edition_was_seen_where_its_file_is_damaged(house: House) -> None:
    (house.folder / "shard-directory.json").write_bytes(b"{")
    assert await refused(house) == "damaged"


async def test_a_clock_that_is_not_trusted_lets_no_ended_directory_count(house: House) -> None:
    """It is asked again later. Seen to succeed with a clock that was set back."""
    house.clock.advance(DAY_MS / 1000)
    house.clock.set_wall_ms(NOW_MS)
    house.clock.trusted = False
    with pytest.raises(RelayUnreachable, match="knows the time"):
        await house.enroller.enrol()
    assert not house.is_enrolled
    house.clock.trusted = True
    await house.enroller.enrol()


async def test_a_directory_that_has_ended_leads_nowhere(house: House) -> None:
    house.clock.advance(DAY_MS / 1000)
    assert await refused(house) == "expired"


@pytest.mark.parametrize(
    ("change", "shard", "why"),
    [
        ({}, "c", "unlisted"),
        ({"state": "closed"}, "b", "closed"),
        ({}, "a", "itself"),
        ({"policy_sha256": "0" * 64}, "b", "policy"),
    ],
)
async def test_only_an_open_shard_that_is_as_listed_is_followed(
    house: House, change: dict[str, str], shard: str, why: str
) -> None:
    house.answer = house.signing.elsewhere(house.directory(**change), shard)
    assert await refused(house) == why


async def test_a_relay_that_is_not_listed_itself_leads_nowhere(house: House) -> None:
    directory = house.directory()
    house.answer = house.signing.elsewhere(
        msgspec.structs.replace(directory, shards=directory.shards[1:]), "b"
    )
    assert await refused(house) == "foreign"


async def test_a_card_without_keys_is_led_nowhere(house: House) -> None:
    house.card.write_bytes(house.old.policy_text)
    assert await refused(house) == "no_keys"


async def test_the_other_shards_own_policy_names_no_signers(house: House) -> None:
    await house.enroller.enrol()
    theirs = DirectorySigning()
    (house.folder / "shard-policy.txt").write_bytes(theirs.policy(house.new.policy_text))
    (house.folder / ENROLMENT_FILE).unlink()
    house.answer = theirs.elsewhere(house.directory(number=6), "b")
    with pytest.raises(ShardRefused, match="0 of the keys"):
        await house.enroller.enrol()


async def test_another_fleet_ca_than_the_listed_one_is_refused(house: House) -> None:
    house.cas[THERE] = FleetCa()  # after the directory was made
    with pytest.raises(AnswerRefused, match="another CA"):
        await house.enroller.enrol()
    assert not house.is_enrolled


async def test_a_shard_renews_certificates_nowhere_else(house: House) -> None:
    house.there_url = "https://elsewhere.example"
    with pytest.raises(AnswerRefused, match="another address"):
        await house.enroller.enrol()
    assert not house.is_enrolled


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_relay_of_another_name_leads_nowhere(house: House, *, is_trusted: bool) -> None:
    """It says so with the same status. Seen to fail: without the time, it was asked for ever."""
    house.clock.trusted = is_trusted
    error = {"error": {"code": "host", "message": "this relay is https://r.test"}}
    house.replies = [httpx2.Response(421, json=error)]
    with pytest.raises(ClaimRefused, match=r"this relay is https://r\.test") as refusal:
        await house.enroller.enrol()
    assert refusal.value.code == "host"


def unknown_claim() -> httpx2.Response:
    error = {"error": {"code": "claim", "message": "this relay never gave out such a claim"}}
    return httpx2.Response(403, json=error)


async def test_a_doorbell_whose_first_answer_was_lost_arrives_after_the_move(house: House) -> None:
    """The claim is used, at the first shard. Seen to fail: it was refused for good."""
    house.replies_there = [unknown_claim()]
    assert (await house.enroller.enrol()).relay_url == THERE
    assert house.secrets[-2:] == ["c2VjcmV0", arrival_secret(house.keys.device)]


async def test_a_claim_that_the_other_shard_has_not_taken_yet_is_tried_again(house: House) -> None:
    """Seen to fail: the first boot ended, with a call for a new invitation."""
    house.replies_there = [unknown_claim(), unknown_claim(), unknown_claim()]
    with pytest.raises(ShardNotReady, match="doesn't have this doorbell's claim yet"):
        await house.enroller.enrol()
    waits_s: list[float] = []

    async def sleep(wait_s: float) -> None:
        waits_s.append(wait_s)

    house.enroller._sleep = sleep
    house.replies_there += [unknown_claim()]
    assert (await house.enroller.enrol_patiently()).relay_url == THERE
    assert len(waits_s) == 1


async def test_what_the_other_shard_refuses_for_good_is_not_tried_again(house: House) -> None:
    error = {"error": {"code": "revoked", "message": "it was revoked"}}
    house.replies_there = [httpx2.Response(403, json=error)]
    with pytest.raises(ClaimRefused, match="it was revoked"):
        await house.enroller.enrol()


async def test_a_shard_leads_no_further(house: House) -> None:
    serve = house._serve
    house.enroller._http = httpx2.AsyncClient(  # the other relay answers as the first does
        transport=httpx2.MockTransport(
            lambda request: (
                httpx2.Response(421, content=house.answer.encode())  # type: ignore[union-attr]
                if request.url.path == "/enrol"
                else serve(request)
            )
        )
    )
    with pytest.raises(ShardRefused, match="leads further"):
        await house.enroller.enrol()


# --- an owner's doorbell, which follows a register -------------------------------------------


async def moved(house: House, following: Following | None) -> EnrolmentError | None:
    """Let a doorbell that follows a register be led; return why it isn't."""
    move = ShardMove(
        data_dir=house.folder,
        relay_url=HERE,
        keys=house.keys,
        enroller=house.enroller,
        guide=house.guide,
    )
    if following is not None:
        move.succeed(following.record)
    assert house.answer is not None
    try:
        await move.take(house.answer)
    except EnrolmentError as error:
        assert not (house.folder / NEXT_SHARD).exists()
        if isinstance(error, ShardRefused):  # once enrolled there, it couldn't be given back
            assert f"{THERE}/enrol" not in house.asked
        return error
    assert (house.folder / NEXT_SHARD / ENROLMENT_FILE).exists()
    return None


async def read(house: House, *, is_owned: bool = True) -> Following:
    """Return a doorbell that has just read its register."""
    following = Following(house, is_owned=is_owned)
    await following.follower.read()
    return following


def succeed(house: House, named: Succession) -> None:
    """Let shard b have a register that says that it succeeds `named`."""
    house.new = successor(house.old, named)
    house.answer = house.signing.elsewhere(house.directory(), "b")


async def test_a_successor_of_the_followed_register_is_followed(house: House) -> None:
    assert await moved(house, await read(house)) is None


async def test_a_register_that_succeeds_none_is_not(house: House) -> None:
    house.new = make_town("lakeland-b", admin_keys=house.old.admin_keys)
    house.answer = house.signing.elsewhere(house.directory(), "b")
    assert "doesn't say that it succeeds" in str(await moved(house, await read(house)))


async def test_a_doorbell_that_nobody_owns_has_compared_no_register(house: House) -> None:
    house.new = make_town("lakeland-b", admin_keys=house.old.admin_keys)
    house.answer = house.signing.elsewhere(house.directory(), "b")
    assert await moved(house, Following(house, is_owned=False)) is None


async def test_strangers_do_not_sign_for_the_followed_register(house: House) -> None:
    stranger = make_town()  # of the same name, and with administrators of the same ids
    real = ends_of(house.old)
    named = msgspec.structs.replace(ends_of(stranger), size=real.size, root=real.root)
    house.new = successor(stranger, named)
    house.answer = house.signing.elsewhere(house.directory(), "b")
    assert "is no administrator" in str(await moved(house, await read(house)))


async def test_another_history_of_the_followed_register_is_not_succeeded(house: House) -> None:
    succeed(house, msgspec.structs.replace(ends_of(house.old), root="0" * 64))
    assert "it succeeds another" in str(await moved(house, await read(house)))


async def test_a_register_that_is_longer_than_what_was_read_is_waited_for(house: House) -> None:
    real = ends_of(house.old)
    succeed(house, msgspec.structs.replace(real, size=real.size + 1))
    assert "entries here" in str(await moved(house, await read(house)))


async def test_a_doorbell_that_knows_no_register_moves_nowhere(house: House) -> None:
    assert "doesn't know its register" in str(await moved(house, None))


async def test_nobody_signs_who_was_an_administrator_once(house: House) -> None:
    """A relay keeps from a doorbell that they were removed. Seen to succeed, each way."""
    house.old = make_town()
    named = ends_of(house.old)
    following = await read(house)
    old = house.old
    eve, cem = old.new_admin("eve"), old.new_admin("cem")
    old.append(old.change(AdminsChanged(admins=[eve, cem])))
    succeed(house, named)
    following.followers.clock.advance(2 * 3600)
    assert "too old" in str(await moved(house, following))
    following.followers.clock.trusted = False
    assert "doesn't know the time" in str(await moved(house, following))
    following.followers.clock.trusted = True
    old.wind(hours=2)
    await following.follower.read()
    assert "is no administrator" in str(await moved(house, following))


async def test_a_register_that_is_not_read_whole_tells_no_administrators(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay keeps the end of a long read back. Seen to succeed, where who was read counts."""
    assert "isn't read whole" in str(await moved(house, Following(house)))
    make_room_small(monkeypatch)
    house.old = make_town()
    named = ends_of(house.old)
    following = await read(house)
    old, log = house.old, house.old.register_log
    junk = [b'{"number":%d}' % number for number in range(300)]
    log.append(*junk, at_ms=old.now_ms)
    eve, cem = old.new_admin("eve"), old.new_admin("cem")
    old.append(old.change(AdminsChanged(admins=[eve, cem])))
    last = f"tile/entries/001.p/{log.size - 256}"
    log.pinned[last] = None
    with pytest.raises(LogUnreachable):
        await following.follower.read()
    assert following.follower._followed.is_between
    succeed(house, named)
    assert "isn't read whole" in str(await moved(house, following))


async def test_a_card_that_has_lost_its_register_moves_nowhere_before_it_is_read(
    house: House,
) -> None:
    await read(house)
    (house.folder / "register" / "entries").unlink()
    following = Following(house)
    await following.follower.start()
    assert following.follower._followed.lacks_entries
    assert "isn't read whole" in str(await moved(house, following))
    await following.follower.read()
    assert await moved(house, following) is None


async def test_a_register_that_contradicts_itself_is_succeeded_by_none(house: House) -> None:
    house.old = make_town()
    succeed(house, ends_of(house.old))
    following = await read(house)
    honest = house.old.register_log
    house.old.register_log = honest.fork(size=3)
    house.old.register_log.append(b"other", at_ms=house.old.now_ms)
    with pytest.raises(LogContradicts):
        await following.follower.read()
    house.old.register_log = honest
    assert "contradicts itself" in str(await moved(house, following))


async def test_a_split_of_long_ago_is_proved_by_the_logs_tiles(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the doorbell has forgotten closes no split. Seen to, without `is_beginning`."""
    make_room_small(monkeypatch)
    house.old = make_town()
    named = ends_of(house.old)
    log = house.old.register_log
    for start in range(0, 1000, 100):
        junk = [b'{"number":%d}' % number for number in range(start, start + 100)]
        log.append(*junk, at_ms=house.old.now_ms)
    following = await read(house)
    assert following.follower._followed.root(named.size) is None
    succeed(house, msgspec.structs.replace(named, root="0" * 64))
    assert "it succeeds another" in str(await moved(house, following))
    succeed(house, named)
    tiles = [one for one in log._files() if one.startswith("tile/") and "entries" not in one]
    log.pinned = dict.fromkeys(tiles)
    assert "nothing shows yet" in str(await moved(house, following))
    log.pinned = dict.fromkeys(tiles, bytes(32 * 256))
    assert "nothing shows yet" in str(await moved(house, following))
    log.pinned = {}
    assert await moved(house, following) is None


async def test_a_move_takes_no_proof_along_that_the_old_register_was_forked(house: House) -> None:
    """Two operators move a doorbell that has one. Seen to leave nothing behind."""
    house.old = make_town()
    following = await read(house)
    old, honest = house.old, house.old.register_log
    old.register_log = honest.fork(size=3)
    old.register_log.append(b"other", at_ms=old.now_ms)
    with pytest.raises(LogContradicts):
        await following.follower.read()
    unread = honest.fork(size=honest.size)
    unread.append(b"larger", at_ms=old.now_ms)
    unread.pinned = dict.fromkeys(path for path in unread._files() if path != "checkpoint")
    old.register_log = unread
    with pytest.raises(LogUnreachable):
        await following.follower.read()
    old.register_log = honest
    old.wind(hours=0.25)
    following.followers.clock.advance(15 * 60)
    await following.follower.read()
    (proof,) = following.follower.contradictions
    succeed(house, ends_of(old))
    assert await moved(house, following) is None
    assert finish_shard_move(house.folder)
    assert not (house.folder / "register").exists()
    kept = house.folder / "earlier-proofs"
    found = decode(ContradictionsFile, (kept / "1-contradictions.json").read_bytes()).found
    assert found == [proof]
    hidden = decode(UnprovedFile, (kept / "1-unproved.json").read_bytes()).notes
    assert hidden == [unread.checkpoint.decode()]
