"""Six weeks in the demo's town, lived through with its clock wound.

Officers ask, withdraw and file outcomes at the relay's pages. What neighbours, moderators, the
operator and a partner do is done by the relay's own services, beside the running relay, as
`doorward-relay moderate` and `credit` do it. Posts are dated back within the last weeks.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import b64u, device_id_of, new_id
from firmware.protocol.events import Event, Paired
from firmware.protocol.register.facts import Stamps
from firmware.protocol.requests import EvidenceRequest
from firmware.protocol.tlog.policy import Policy, parse_policy
from relay.agency.register import RelayRegister
from relay.base.clock import Clock, clock_of
from relay.base.months import month_of, shifted
from relay.cli.register import notify_relays
from relay.config.loader import load
from relay.config.settings import Config
from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.ledger import CREDIT, DOORBELL_CENTS
from relay.credit.partners import Partners
from relay.credit.recipients import Recipient, RecipientList
from relay.credit.sign_ups import PAIRED_FOR_MS, SignUps
from relay.custody.cosigned_times import CosignedTimes
from relay.custody.log_entries import LogEntries, LogName
from relay.feed.rules import DAY_MS, HOUR_MS, PostDraft
from relay.feed.service import Feed
from relay.heatmap.calendar import due_ms
from relay.heatmap.reports import TheftReports
from relay.map.districts import load_districts
from relay.request.moderation import Moderation
from relay.store import credit, events, fleet, logs, people, routing
from relay.store.database import Database, Transaction
from relay.store.fleet import DoorbellRow
from relay.store.people import Account, Credential
from tests.story.authenticator import SoftPasskey
from tests.story.clock import TownHand
from tests.story.officer import Officer
from tests.story.settings import Settings, StoryError
from tests.story.town_life import (
    CAMPAIGN,
    MODERATORS,
    NAMES,
    NOTICE,
    PARTNER,
    PARTNER_CONTACT,
    PARTNER_EMAIL,
    POSTS,
    RECIPIENT_LIST,
    RECIPIENTS,
    THEFTS_BY_MONTH,
    WEEKS,
    Asked,
    Post,
    drawn_picture,
)

SIGN_UPS = 13
RECEIPT_NAME = "receipt.txt"
WEEK_MS = 7 * DAY_MS
READ_AFTER_MS = 2 * HOUR_MS
"""So long a post waits for its moderator."""


class BackDatedClock:
    """The town's clock, set back by `back_ms`."""

    def __init__(self, town: Clock) -> None:
        self._town = town
        self.back_ms = 0

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return self._town.wall_ms() - self.back_ms


class ReadLogs(LogEntries):
    """The relay's logs as its commands use them, with the witnesses' times of the register."""

    def __init__(self, origin: str, policy: Policy) -> None:
        self._stamping = CosignedTimes(origin=origin, policy=policy, saved=None)

    async def stamps(self, tx: Transaction, log: LogName) -> Stamps:
        """Return when a quorum of witnesses had seen a tree of each size."""
        count = await logs.count_stamps(tx, log)
        await self._stamping.take(await logs.stamps(tx, log, self._stamping.count, count))
        return self._stamping.stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The relay's services over its database, and everybody whom they are for."""

    config: Config
    database: Database
    clock: Clock
    dated: BackDatedClock
    register: RelayRegister
    feed: Feed
    neighbours: list[Account]
    moderators: list[Account]


async def live_six_weeks(
    settings: Settings,
    hand: TownHand,
    officer: Officer,
    cosigner: Officer,
    cells: tuple[str, ...],
    *,
    note: Callable[[str], None],
) -> str:
    """Wind through six weeks, and first through quiet ones, so that two months of the theft map are
    published at the end.

    Return in a few words what there is now; `note` is told each week.
    """
    async with _open_office(settings) as office:
        owners = await _settle(office, settings)
        await _begin_credits(office, owners)
        asked: list[tuple[Asked, EvidenceRequest]] = []
        months: list[str] = []
        quiet = _quiet_weeks(office.clock.wall_ms())
        for week, plan in enumerate((*((),) * quiet, *WEEKS), 1):
            note(f"week {week} of {quiet + len(WEEKS)}")
            if plan:
                await asyncio.gather(officer.log_in(), cosigner.log_in())
                asked, _ = await asyncio.gather(
                    _ask(office, hand, officer, cosigner, plan, cells),
                    _file_outcomes(officer, asked),
                )
            await _report_thefts(office, months)
            await Bookings(office.database, office.clock).post_due()
            if plan is WEEKS[-1]:
                await _put_up_notice(office, officer)
            await hand.wind("week")
        await asyncio.gather(officer.log_in(), cosigner.log_in())
        await _file_outcomes(officer, asked)
        await _report_thefts(office, months)
        await _write_posts(office)
        await _give_doorbell(office, settings)
    return f"{quiet + len(WEEKS)} weeks of requests, neighbours' posts, reported thefts and credits"


def _quiet_weeks(now_ms: int) -> int:
    """Return how many more than six weeks there are until the second month from now is published.

    Three at most.
    """
    month = month_of(now_ms)
    first = month if due_ms(shifted(month, -1)) <= now_ms else shifted(month, -1)
    weeks = math.ceil((due_ms(shifted(first, 1)) - now_ms) / WEEK_MS)
    return max(0, weeks - len(WEEKS))


@asynccontextmanager
async def _open_office(settings: Settings) -> AsyncIterator[Office]:
    config = load(settings.relay_toml)
    if config.log is None:
        raise StoryError("the town's relay keeps no log")
    clock = clock_of(config.example.clock_path, config.example_town)
    dated = BackDatedClock(clock)
    database = await Database.open(config.database)
    origin = f"{config.log.name}/register"
    entries = ReadLogs(origin, parse_policy(settings.policy.read_bytes()))
    register = RelayRegister(entries, database, clock, origin=origin)
    feed = Feed.build(
        database,
        dated,
        load_districts(config.map.districts_path),
        register=register,
        public_url=settings.relay_url,
    )
    try:
        yield Office(
            config=config,
            database=database,
            clock=clock,
            dated=dated,
            register=register,
            feed=feed,
            neighbours=[_account("owner", name) for name in NAMES],
            moderators=[_account("admin", name) for name in MODERATORS],
        )
        await notify_relays(config, database)
    finally:
        await database.close()


def _account(role: str, name: str) -> Account:
    return Account(id=new_id(), role=role, agency=None, name=name)


async def _settle(office: Office, settings: Settings) -> list[Account]:
    """Let everybody have an account; return those whose doorbell was paired a month ago."""
    since_ms = office.clock.wall_ms() - PAIRED_FOR_MS - DAY_MS
    owners = office.neighbours[:SIGN_UPS]
    async with office.database.begin() as tx:
        for account in (*office.neighbours, *office.moderators):
            await people.add_account(tx, account, since_ms)
        for number, owner in enumerate(owners, 1):
            await _pair(tx, owner, settings, seq=1, since_ms=since_ms + number)
    districts = list(office.feed.districts)
    for number, account in enumerate(office.neighbours):
        await office.feed.members.join(account, districts[number % len(districts)].id)
    return owners


async def _pair(
    tx: Transaction, owner: Account, settings: Settings, *, seq: int, since_ms: int
) -> None:
    """Enrol a doorbell, and let it have told that this account owns it."""
    key = SoftPasskey.create(rp_id="localhost", origin=settings.app_url).key
    await people.add_credential(
        tx,
        Credential(
            credential_id=key.credential_id,
            account_id=owner.id,
            public_key=key.public_key,
            rp_id=key.rp_id,
            origin=key.origin,
            aaguid="00000000-0000-0000-0000-000000000000",
            sign_count=0,
            is_demo=False,
        ),
    )
    identity = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = identity.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sealing = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    device = device_id_of(spki)
    await fleet.add(
        tx,
        DoorbellRow(
            device=device,
            identity_key=b64u(spki),
            sealing_key=b64u(sealing),
            certificate_pem="-",
            evidence_certificate_pem="-",
            certificate_ends_ms=(since_ms + 90 * DAY_MS) // 1000 * 1000,
            enrolled_ms=since_ms,
            revoked_ms=None,
            state="offline",
            state_since_ms=since_ms,
        ),
    )
    paired = Event(
        id=new_id(),
        device=device,
        seq=seq,
        time_ms=since_ms,
        is_clock_trusted=True,
        body=Paired(pairing_id=new_id(), credential_id=key.credential_id),
    )
    await events.add(tx, paired, received_ms=since_ms)
    await routing.link(tx, owner.id, device)


async def _begin_credits(office: Office, owners: list[Account]) -> None:
    """A partner pays, 13 owners hand its code in, and a list of recipients is published."""
    partners = Partners(office.database, office.clock)
    await partners.endow()
    view = await office.register.view()
    agreements = view.facts.agreements.values()
    names = {one.agreement.name for records in agreements for one in records}
    partner = await partners.add(
        PARTNER, "charity", contact=PARTNER_CONTACT, email=PARTNER_EMAIL, agencies=names
    )
    await partners.fund(partner, 4 * DOORBELL_CENTS)
    await partners.add_campaign(partner, CAMPAIGN, 2 * DOORBELL_CENTS)
    # due in the next month, not in a random one: six weeks are to show a booking
    sign_ups = SignUps(office.database, office.clock, randbelow=lambda _: 0)
    for owner in owners:
        await sign_ups.sign_up(owner, CAMPAIGN.lower())
    listed = RecipientList(
        name=RECIPIENT_LIST,
        partner=partner,
        by="lot",
        doorbells=2,
        recipients=[Recipient(number=number) for number in range(1, RECIPIENTS + 1)],
    )
    await Distribution(office.database, office.clock).publish(listed)


async def _give_doorbell(office: Office, settings: Settings) -> None:
    """Draw the list's lots, and issue a doorbell that the sign-ups pay for."""
    await Bookings(office.database, office.clock).post_due()
    async with office.database.read() as tx:
        if await credit.balance(tx, CREDIT) < DOORBELL_CENTS:
            raise StoryError("13 sign-ups didn't pay for a doorbell")
    distribution = Distribution(office.database, office.clock)
    first, *_ = await distribution.draw(RECIPIENT_LIST)

    def keep(text: str) -> None:
        (settings.people_dir / RECEIPT_NAME).write_text(text)

    await distribution.issue(RECIPIENT_LIST, first, keep)


async def _ask(
    office: Office,
    hand: TownHand,
    officer: Officer,
    cosigner: Officer,
    plan: tuple[Asked, ...],
    cells: tuple[str, ...],
) -> list[tuple[Asked, EvidenceRequest]]:
    """Sign, co-sign, moderate and publish a week's requests; return those that owners could see."""
    moderation = Moderation(office.database, office.clock, office.register)

    async def sign(one: Asked) -> EvidenceRequest:
        request = await officer.draft_request(
            cosigner,
            cells=[cells[one.place]],
            case_number=one.case,
            text=one.text,
            incident_type=one.incident,
        )
        return await cosigner.cosign_request(request.id)

    asked = []
    for one, request in zip(plan, await asyncio.gather(*map(sign, plan)), strict=True):
        moderator = office.moderators[0].id
        if one.ending == "refused":
            reason = "The request is about who goes to a place of worship."
            await moderation.refuse(request.id, "worship", reason=reason, moderator=moderator)
            continue
        await moderation.pass_on(request.id, moderator=moderator)
        asked.append((one, request))
    await notify_relays(office.config, office.database)
    await hand.to_next_batch()
    for one, request in asked:
        await officer.wait_until_open(request.id)
        if one.ending == "withdrawn":
            await officer.withdraw(request)
    return asked


async def _file_outcomes(officer: Officer, asked: list[tuple[Asked, EvidenceRequest]]) -> None:
    over = [request for one, request in asked if one.ending != "unanswered"]
    await asyncio.gather(*(officer.file_outcome(request, "not_used") for request in over))


async def _report_thefts(office: Office, months: list[str]) -> None:
    """Have neighbours report the thefts of each month that is new; add those months."""
    reports = TheftReports(office.database, office.clock)
    cells = [cell for one in office.feed.districts for cell in one.cells]
    first, *_ = office.neighbours
    found = sorted(one.month for one in (await reports.list_own(first)).months)
    for month in [one for one in found if one not in months]:
        counts = THEFTS_BY_MONTH[min(len(months), len(THEFTS_BY_MONTH) - 1)]
        for cell, count in zip(cells, counts, strict=True):
            for account in office.neighbours[:count]:
                await reports.report(account, cell=cell, month=month)
        months.append(month)


async def _put_up_notice(office: Office, officer: Officer) -> None:
    """The agency informs the first district, and a moderator lets it through."""
    (cell,) = next(one for one in office.feed.districts if one.id == "lake-morton").cells
    post_id = await officer.post_notice(cell=cell, text=NOTICE)
    moderator = office.moderators[0].id
    await office.feed.moderation.publish(post_id, moderator=moderator)


async def _write_posts(office: Office) -> None:
    """Write the neighbours' posts of the last weeks, each at its own time."""
    districts = list(office.feed.districts)
    for number, post in enumerate(POSTS):
        authors = office.neighbours[post.district :: len(districts)]
        author = authors[number % len(authors)]
        cells = districts[post.district].cells
        await _write_post(office, author, post, cells[number % len(cells)], number)
    office.dated.back_ms = 0


async def _write_post(office: Office, author: Account, post: Post, cell: str, number: int) -> None:
    feed, dated = office.feed, office.dated
    dated.back_ms = round(post.days_ago * DAY_MS)
    pictures = [await feed.pictures.add(author, drawn_picture(number))] if post.has_picture else []
    draft = PostDraft(
        kind=post.kind,
        cell=cell,
        hour_ms=dated.wall_ms() - HOUR_MS,
        text=post.text,
        pictures=pictures,
    )
    row = await feed.posts.write(author, draft)
    if post.is_waiting:
        return
    dated.back_ms -= READ_AFTER_MS
    moderator = office.moderators[number % len(office.moderators)].id
    if post.refused is None:
        await feed.moderation.publish(row.id, moderator=moderator)
        return
    await feed.moderation.refuse(row.id, post.refused, words=post.words, moderator=moderator)
    if post.appeal:
        dated.back_ms -= HOUR_MS
        await feed.posts.appeal(author, row.id, post.appeal)
