"""The audience of one session: what its account may hear, and what of that lies in the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.base.clock import Clock
from relay.people.sessions import Sessions
from relay.store import events, thumbnails
from relay.store.audiences import rights_in
from relay.store.database import Database, Snapshot
from relay.store.events import LAST_MS, EventRow, is_guests
from relay.store.guests import GuestRow
from relay.store.people import Account

MAX_MISSED = 200
"""Events that a stream tells when it goes on; after more the app reads anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The events that one account may receive: its doorbells', and notes sealed to its passkeys.

    Of the doorbells where it is a guest, what its right has and since it began.
    """

    own: frozenset[str]
    """The doorbells that it owns."""
    credential_ids: frozenset[str]
    guests: tuple[GuestRow, ...] = ()
    ends_ms: int = LAST_MS
    """When the first right in it ends by itself: a session's, or a guest's."""
    devices: frozenset[str] = field(init=False)
    """All doorbells that it may hear of."""

    def __post_init__(self) -> None:
        """Put the doorbells together."""
        every = self.own | {guest.device for guest in self.guests}
        object.__setattr__(self, "devices", every)

    def may_hear(self, row: EventRow) -> bool:
        """Return whether an event is for this account."""
        if row.device in self.own:
            return row.credential_id is None or row.credential_id in self.credential_ids
        return any(is_guests(row, guest) for guest in self.guests)

    def may_see_pictures(self, device: str) -> bool:
        """Return whether pictures of events are for this account."""
        is_told = any(one.device == device and "rings" in one.what for one in self.guests)
        return device in self.own or is_told

    def rights_at(self, device: str) -> frozenset[GuestRow]:
        """Return its rights as a guest of a doorbell."""
        return frozenset(one for one in self.guests if one.device == device)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedEvent:
    """An event for this account, and whether its picture can be fetched."""

    row: EventRow
    has_thumbnail: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What doorbells told after an app's cursors; `events` is None if that is too much.

    `newest` has each doorbell's last event, `heard` the last that the account may know of.
    """

    events: tuple[MissedEvent, ...] | None
    newest: Mapping[str, int]
    heard: Mapping[str, int]


async def find_audience(database: Database, account: Account, *, now_ms: int) -> Audience:
    """Return an account's audience."""
    return await database.look(lambda snapshot: audience_in(snapshot, account, now_ms=now_ms))


def audience_in(snapshot: Snapshot, account: Account, *, now_ms: int) -> Audience:
    """Return an account's audience."""
    rights = rights_in(snapshot, account.id, now_ms=now_ms)
    return Audience(
        own=rights.own,
        credential_ids=rights.credential_ids,
        guests=rights.guests,
        ends_ms=min((one.until_ms for one in rights.guests), default=LAST_MS),
    )


class SessionSource:
    """What the stream of one session tells: asked when its audience has changed, or it missed."""

    def __init__(self, database: Database, clock: Clock, sessions: Sessions, token: str) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._token = token

    def wall_ms(self) -> int:
        """Return the time by which rights end."""
        return self._clock.wall_ms()

    async def audience(self) -> Audience | None:
        """Return what the session's account may hear now; None for nobody signed in."""
        now_ms = self.wall_ms()
        looked = await self._sessions.look_as_owner(
            self._token,
            lambda snapshot, session: audience_in(snapshot, session.account, now_ms=now_ms),
        )
        if looked is None:
            return None
        session, found = looked
        return Audience(
            own=found.own,
            credential_ids=found.credential_ids,
            guests=found.guests,
            ends_ms=min(found.ends_ms, session.expires_ms),
        )

    async def missed(self, audience: Audience, after: Mapping[str, int]) -> Missed:
        """Return what the audience's doorbells told after these cursors, and how far they are."""
        return await find_missed(self._database, audience, after, now_ms=self.wall_ms())


async def find_missed(
    database: Database, audience: Audience, after: Mapping[str, int], *, now_ms: int
) -> Missed:
    """Return what an audience's doorbells told after these cursors, and how far they are."""
    async with database.read() as tx:
        newest = await events.newest_seqs(tx, audience.devices)
        heard = newest | await events.newest_heard(tx, audience.guests)
        behind = {
            device: seq
            for device, seq in after.items()
            if device in audience.devices and seq < newest.get(device, 0)
        }
        rows = []
        if behind:
            rows = await events.missed(
                tx,
                sorted(audience.own),
                credential_ids=sorted(audience.credential_ids),
                guests=audience.guests,
                after=behind,
                limit=MAX_MISSED + 1,
            )
        ids = [row.event.id for row in rows]
        pictured = await thumbnails.having(tx, ids, now_ms=now_ms) if ids else set()
    told = tuple(
        MissedEvent(row=row, has_thumbnail=row.event.id in pictured)
        for row in rows
        if audience.may_hear(row)
    )
    is_too_much = len(rows) > MAX_MISSED
    return Missed(events=None if is_too_much else told, newest=newest, heard=heard)
