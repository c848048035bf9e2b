"""Agencies' posts: signed by an officer, checked by rule, and moderated like all others (R23).

    an officer signs ─► rules ─► waits for a moderator, as a neighbour's post does
    life in danger: an officer signs ─► an approver co-signs ─► published at once, and
        logged ─► moderated after

An agency informs and never asks: its text is held to that by text_rules.py. Its post is about a
cell that its jurisdiction touches. It learns no more about the feed than anybody.
"""

from typing import Literal, get_args

from firmware.protocol.encoding import WireError, sha256_hex, unb64u
from firmware.protocol.feed_posts import (
    AgencyPost,
    PostCosignature,
    SignedPost,
    check_cosigned_post,
    check_post,
    parse_post,
)
from firmware.protocol.requests import ASKING_ROLES, MAX_SKEW_MS
from relay.agency.agencies import Agency, Standing, agency_of, officers_of, standing_of
from relay.agency.register import RegisterView, RelayRegister
from relay.base.clock import Clock
from relay.base.months import month_of
from relay.custody.entries import CustodyEntries
from relay.errors import RelayError
from relay.feed.rules import DAY_MS, HOUR_MS, LIFE_MS, OLDEST_MS, RequestReference, encode_reference
from relay.feed.text_contexts import TextContexts
from relay.feed.text_rules import check_text, linked_requests
from relay.map.cells import parent_of
from relay.map.districts import Districts
from relay.store import feed, feed_review
from relay.store.database import Database, Transaction
from relay.store.feed import PostRow
from relay.store.feed_review import AgencyPostRow
from relay.store.people import Account

MAX_A_DAY = 10
COSIGN_WITHIN_MS = HOUR_MS
"""Danger is now: who co-signs later signs another post."""
MAX_LISTED = 100

PostRule = Literal[
    "unreadable", "other", "agreement", "officer", "signature", "created", "hour", "cell", "many",
    "taken", "cosigner", "cosigned", "late", "unknown",
]  # fmt: skip
POST_RULES: tuple[PostRule, ...] = get_args(PostRule)
PostState = Literal["cosigning", "late", "erased", "waiting", "published", "refused", "withdrawn"]
POST_STATES: tuple[PostState, ...] = get_args(PostState)


class PostRefused(RelayError):
    """An agency's post breaks a rule; pages have a sentence for each name."""

    def __init__(self, name: PostRule, detail: str) -> None:
        super().__init__(detail)
        self.name = name


class AgencyPosts:
    """Takes agencies' posts from officers, and lists an agency's own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        register: RelayRegister,
        districts: Districts,
        texts: TextContexts,
        entries: CustodyEntries,
    ) -> None:
        self._database = database
        self._clock = clock
        self._register = register
        self._districts = districts
        self._texts = texts
        self._entries = entries

    def cells_of(self, agency: Agency) -> list[str]:
        """Return the districts' cells that an agency's jurisdiction touches, in their order."""
        touched = {parent_of(cell) for cell in agency.agreement.cells}
        return sorted(cell for cell in touched if self._districts.at(cell) is not None)

    async def hand_in(self, officer: Account, signed: SignedPost) -> AgencyPost:
        """Store a signed post; PostRefused or TextRefused. The same again is the same answer."""
        view = await self._register.view()
        post = _parse(signed)
        agency, standing = self._check_officer(officer, post, view)
        if signed.officer != standing.signed:
            raise PostRefused("officer", "signed under another certificate than your newest one")
        self._check_facts(post, agency, view)
        context = self._texts.context(view, agency=agency.id)
        check_text(post.text, kind=post.kind, author="agency", context=context)
        try:
            check_post(signed, unb64u(agency.agreement.signing_key))
        except WireError as error:
            raise PostRefused("signature", str(error)) from error
        async with self._database.begin() as tx:
            before = await feed_review.find_agency_post(tx, post.id)
            if before is not None:
                if before.signed.post == signed.post and before.account_id == officer.id:
                    return post
                raise PostRefused("taken", "another post has this id; make a new one")
            since_ms = view.now_ms - DAY_MS
            if await feed_review.count_agency_posts(tx, agency.id, since_ms=since_ms) >= MAX_A_DAY:
                raise PostRefused("many", f"an agency makes {MAX_A_DAY} posts a day")
            await feed_review.add_agency_post(
                tx,
                AgencyPostRow(
                    id=post.id,
                    agency=agency.id,
                    account_id=officer.id,
                    cosigner_id=post.second_id,
                    signed=signed,
                    cosigned=None,
                    made_ms=view.now_ms,
                ),
            )
            if not post.is_danger:
                await self._add(tx, post, view, is_shown=False)
        return post

    async def cosign(self, officer: Account, post_id: str, second: PostCosignature) -> None:
        """Add the approver's signature: the post is shown at once. PostRefused, TextRefused."""
        view = await self._register.view()
        async with self._database.begin() as tx:
            row = await _require_named(tx, officer, post_id)
            if row.cosigned is not None:
                if row.cosigned == second:
                    return
                raise PostRefused("cosigned", "the post was co-signed already")
            if view.now_ms >= row.made_ms + COSIGN_WITHIN_MS:
                raise PostRefused("late", "the post was signed more than an hour ago")
            agency = _require_agency(view, row.agency)
            standing = standing_of(view, row.agency, officer.id)
            if standing.state != "valid" or standing.role != "approver":
                raise PostRefused("cosigner", "danger to life is co-signed by an approver")
            if second.cosigner != standing.signed:
                words = "signed under another certificate than your newest one"
                raise PostRefused("officer", words)
            post = _parse(row.signed)
            context = self._texts.context(view, agency=agency.id)
            check_text(post.text, kind=post.kind, author="agency", context=context)
            try:
                check_cosigned_post(row.signed, second, unb64u(agency.agreement.signing_key))
            except WireError as error:
                raise PostRefused("signature", str(error)) from error
            await feed_review.set_post_cosigned(tx, post_id, second)
            await self._add(tx, post, view, is_shown=True)
            digest = sha256_hex(row.signed.post.encode())
            await self._entries.feed_danger(tx, agency=agency.id, post=digest)
            await feed_review.count_danger(tx, month_of(view.now_ms), agency.id)

    async def require_waiting(self, officer: Account, post_id: str) -> None:
        """Raise PostRefused unless a post names this officer to co-sign it."""
        async with self._database.read() as tx:
            await _require_named(tx, officer, post_id)

    async def list(self, agency: str) -> list[AgencyPostRow]:
        """Return an agency's own posts of the last 30 days, the newest first."""
        since_ms = self._clock.wall_ms() - LIFE_MS
        async with self._database.read() as tx:
            rows = await feed_review.list_agency_posts(tx, agency, limit=MAX_LISTED)
        return [row for row in rows if row.made_ms > since_ms]

    async def state_of(self, row: AgencyPostRow) -> tuple[PostState, str]:
        """Return a post's state, and the reason of a refusal by its name in the feed."""
        async with self._database.read() as tx:
            found = await feed.find_post(tx, row.id)
            decisions = await feed.list_decisions(tx, [row.id])
        now_ms = self._clock.wall_ms()
        if found is None:
            if row.cosigner_id is None or row.cosigned is not None:
                return "erased", ""
            return ("cosigning" if now_ms < row.made_ms + COSIGN_WITHIN_MS else "late"), ""
        if found.state == "published" and (found.published_ms or 0) > now_ms:
            return "waiting", ""
        reasons = [one.reason or "" for one in decisions if found.state == "refused"]
        return found.state, reasons[-1] if reasons else ""

    async def _add(
        self, tx: Transaction, post: AgencyPost, view: RegisterView, *, is_shown: bool
    ) -> None:
        """Add the post to the feed: shown at once, or when a moderator lets it through."""
        district = self._districts.at(post.cell)
        if district is None:
            raise PostRefused("cell", "the place is in no district of the feed any more")
        links = linked_requests(post.text, self._texts.context(view, agency=post.agency))
        refers = RequestReference(request=links[0]) if links else None
        await feed.add_post(
            tx,
            PostRow(
                id=post.id,
                district=district.id,
                cell=post.cell,
                kind=post.kind,
                hour_ms=post.hour_ms,
                text=post.text,
                written_by="agency",
                account_id=None,
                agency=post.agency,
                refers=encode_reference(refers),
                is_urgent=is_shown,
                state="published" if is_shown else "waiting",
                written_ms=view.now_ms,
                changed_ms=view.now_ms,
                published_ms=view.now_ms if is_shown else None,
            ),
        )

    def _check_officer(
        self, officer: Account, post: AgencyPost, view: RegisterView
    ) -> tuple[Agency, Standing]:
        if post.agency != officer.agency or post.officer_id != officer.id:
            raise PostRefused("other", "the post names another officer or agency than yours")
        agency = _require_agency(view, post.agency)
        standing = standing_of(view, post.agency, officer.id)
        if standing.state != "valid" or standing.role not in ASKING_ROLES:
            raise PostRefused("officer", "your certificate doesn't count for this now")
        if post.second_id is not None:
            second = {one.officer_id: one for one in officers_of(view, post.agency)}
            named = second.get(post.second_id)
            if named is None or named.role != "approver" or post.second_id == officer.id:
                words = "danger to life is co-signed by another officer, an approver"
                raise PostRefused("cosigner", words)
        return agency, standing

    def _check_facts(self, post: AgencyPost, agency: Agency, view: RegisterView) -> None:
        if abs(post.created_ms - view.now_ms) > MAX_SKEW_MS:
            words = "signed more than 10 minutes ago, or your clock is wrong"
            raise PostRefused("created", words)
        is_whole = post.hour_ms % HOUR_MS == 0
        if not is_whole or not view.now_ms - OLDEST_MS <= post.hour_ms <= view.now_ms:
            raise PostRefused("hour", "a post is about a whole hour of the last 7 days")
        if post.cell not in self.cells_of(agency):
            raise PostRefused("cell", "the place is outside your jurisdiction")


def _parse(signed: SignedPost) -> AgencyPost:
    try:
        return parse_post(signed)
    except WireError as error:
        raise PostRefused("unreadable", str(error)) from error


async def _require_named(tx: Transaction, officer: Account, post_id: str) -> AgencyPostRow:
    row = await feed_review.find_agency_post(tx, post_id)
    if row is None or row.agency != officer.agency or row.cosigner_id != officer.id:
        raise PostRefused("unknown", "no such post waits for you")
    return row


def _require_agency(view: RegisterView, agency_id: str) -> Agency:
    agency = agency_of(view, agency_id)
    if agency is None or agency.state != "in_force":
        raise PostRefused("agreement", "your agency has no agreement that counts now")
    return agency
