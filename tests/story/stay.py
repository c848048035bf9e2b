"""After the story: what there is to look at, and the story's people helping newcomers.

A newcomer with the owner's invitation is signed in by the story's owner as a co-owner, and
confirmed with the story's door number; a newcomer officer is certified with the agency's key, as an
approver, so that two newcomers can do all that two officers must. A request that one of the story's
own officers is to co-sign is co-signed, and what waits for moderation is passed.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from firmware.protocol.pairing import parse_reveal
from firmware.sound.file_device import SPEAKER_FILE
from tests.story.api import Json
from tests.story.officer import Officer
from tests.story.owner import API, Owner
from tests.story.play import DOOR_NUMBER, People
from tests.story.register import pass_request
from tests.story.servers import program
from tests.story.settings import Settings, StoryError, has_only_loopback
from tests.story.six_weeks import RECEIPT_NAME
from tests.story.town import AGENCY_NAME, AN_OFFICER, invite_all

POLL_S = 1.0
REST_POLL_S = 10.0
REST_PART = 30
"""With nothing to do they look less often: after a 30th of the time in which there was nothing."""
MODERATED_AFTER_S = 15.0
"""So long a newcomer who is an administrator has to do it."""
INVITATIONS = """\
Each invitation is for one person, once. No passkey at hand? The pages offer a demo passkey,
marked as such; a relay that no demo started refuses it.
Things take as long here as anywhere, but the town's clock can be wound at its page: a newcomer
officer's certificate counts after three days; what was passed, and what was released, goes on with
the next batch. Once it was wound by two hours or more, officers sign in anew.
A request takes two officers: join as both, or choose one of the story's as the second, who signs
whatever is asked here. Moderators read each request before it is published; here somebody
passes it after 15 seconds, unless you were quicker as an administrator."""
EMPTY = """\
This town has two administrators, whose key files are on this machine, and nobody else: no agency,
no owner. doorward-agency makes an agency's keys and its agreement (docs/guide/agency.md); the pages
for agencies and administrators go on from there. Seven days are one press at the town's clock."""
SOUND = """
A press plays three notes at the door and, if nobody watches within four seconds, the owner's quick
reply (spoken by espeak-ng, if it is installed). What was played last is the file above, as WAV."""
PORCH = """
The camera shows a rendered porch, and somebody walks up to it every three minutes, later every
five: that is motion, told and recorded as a ring is."""
ONLY_LOOPBACK = """
This machine has no network interface but loopback, and browsers need one for live view:
connect to any network for that. Everything else works."""


async def print_addresses(settings: Settings, people: People) -> None:
    """Tell where everything is, and give one-time invitations."""
    if settings.is_empty:
        _print(settings, await _addresses_of_empty(settings), EMPTY)
        return
    _print(settings, await _addresses(settings, people), INVITATIONS)


async def _addresses(settings: Settings, people: People) -> dict[str, str]:
    device = people.owner.doorbell.device if people.owner.doorbell else ""
    owner, officer, colleague, administrator = await invite_all(
        settings, ("owner", "--device", device), AN_OFFICER, AN_OFFICER, ("admin",)
    )
    log_url = f"{settings.relay_url}/log"
    policy = _short(str(settings.policy))
    receipt = settings.people_dir / RECEIPT_NAME
    given = f"{_short(str(receipt))}   (its SHA-256 is in the ledger)"
    return {
        "owner's app": settings.app_url,
        "  join as owner": owner["url"],
        "agency's pages": f"{settings.relay_url}/agency",
        "  join as officer": officer["url"],
        "  and a colleague": colleague["url"],
        "  key file": str(settings.agency_key),
        "administrators": f"{settings.relay_url}/admin",
        "  join as one": administrator["url"],
        "public pages": settings.relay_url,
        "  month by month": f"{settings.relay_url}/trends",
        "  on the map": f"{settings.relay_url}/map",
        "  the theft map": f"{settings.relay_url}/theft-map",
        "  the credits": f"{settings.relay_url}/credits",
        **({"  a receipt": given} if receipt.exists() else {}),
        "neighbours' posts": f"{settings.app_url}/#/neighbours",
        "  waiting ones": f"{settings.relay_url}/admin/feed   (as an administrator)",
        "the town's clock": f"{settings.relay_url}/town",
        "public logs": f"{log_url}/register/checkpoint and {log_url}/custody/checkpoint",
        "  their witnesses": ", ".join(
            f"http://localhost:{port}/" for port in settings.ports.witnesses
        ),
        "  check both": f"{_short(program('doorward-monitor'))} --policy {policy} --log {log_url}",
        "check the evidence": (
            f"{_short(program('doorward-verify'))} {_short(str(_newest_evidence(settings)))}"
            f" --agreement {_short(str(settings.agency_key.with_name('agreement.json')))}"
            f" --policy {policy} --fleet-ca {_short(str(settings.relay_dir / 'ca.pem'))}"
        ),
        "the doorbell's page": f"{settings.door_url}   (door number {DOOR_NUMBER})",
        "ring the bell": f"{_short(program('doorward'))} press --data {settings.doorbell_dir}",
        "  hear the door": f"{settings.doorbell_dir / SPEAKER_FILE}   (ten seconds later)",
        "logs": str(settings.data_dir / "logs"),
        "stop": "Ctrl-C",
    }


async def _addresses_of_empty(settings: Settings) -> dict[str, str]:
    owner, administrator = await invite_all(settings, ("owner",), ("admin",))
    data = _short(str(settings.doorbell_dir))
    return {
        "owner's app": settings.app_url,
        "  join as owner": owner["url"],
        "administrators": f"{settings.relay_url}/admin",
        "  join as one": administrator["url"],
        "  their key files": _short(str(settings.data_dir / "admins")),
        "for agencies": f"{settings.relay_url}/for-agencies",
        "public pages": settings.relay_url,
        "the town's clock": f"{settings.relay_url}/town",
        "the doorbell's page": settings.door_url,
        "its service button": f"{_short(program('doorward'))} press --service --data {data}",
        "ring the bell": f"{_short(program('doorward'))} press --data {data}",
        "logs": str(settings.data_dir / "logs"),
        "stop": "Ctrl-C",
    }


def _print(settings: Settings, addresses: dict[str, str], words: str) -> None:
    lines = [f"{title:<21}{address}" for title, address in addresses.items()]
    print(
        "\n".join(["", "Everything is up. Look around:", "", *lines, "", words]),
        file=sys.stderr,
    )
    if settings.has_sound:
        print(SOUND, file=sys.stderr)
    if settings.video is None:
        print(PORCH, file=sys.stderr)
    if has_only_loopback():
        print(ONLY_LOOPBACK, file=sys.stderr)
    sys.stderr.flush()


class Seen:
    """What was seen to, by name; and how long nothing new was."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._names: set[str] = set()
        self._monotonic_s = monotonic_s
        self._busy_s = monotonic_s()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Note that this was seen to."""
        self._names.add(name)
        self._busy_s = self._monotonic_s()

    def pause_s(self) -> float:
        """Return how long to wait until looking again."""
        return min(REST_POLL_S, max(POLL_S, (self._monotonic_s() - self._busy_s) / REST_PART))


async def help_newcomers(settings: Settings, people: People) -> None:
    """Let newcomers in, for ever."""
    seen = Seen()
    waits_since_s: dict[str, float] = {}
    await asyncio.gather(
        again_and_again(lambda: _let_owners_in(people, seen), people.owner, pause_s=seen.pause_s),
        again_and_again(
            lambda: _certify_officers(settings, people, seen),
            people.officer,
            pause_s=seen.pause_s,
        ),
        again_and_again(
            lambda: _bring_requests_on(settings, people, seen, waits_since_s),
            people.officer,
            people.cosigner,
            pause_s=seen.pause_s,
        ),
    )


async def again_and_again(
    work: Callable[[], Awaitable[None]],
    *signed_in: Owner | Officer,
    pause_s: Callable[[], float],
) -> None:
    """Do it for ever; sign in anew where the clock was wound; say each new trouble once."""
    trouble = ""
    while True:
        try:
            try:
                await work()
            except StoryError as error:
                if ": 401 " not in str(error):
                    raise
                for person in signed_in:
                    await person.log_in()
        except Exception as error:  # noqa: BLE001 (a supervisor: others are still to be helped)
            told = str(error) if isinstance(error, StoryError) else repr(error)
            if told != trouble:
                trouble = told
                print(f"a newcomer couldn't be helped: {trouble}", file=sys.stderr, flush=True)
        await asyncio.sleep(pause_s())


async def _let_owners_in(people: People, seen: Seen) -> None:
    for join in (await people.owner.api.get(f"{API}/joins"))["joins"]:
        if join["pairing_id"] in seen:
            continue
        seen.add(join["pairing_id"])
        digest = await people.owner.sign_in_newcomer(join)
        await people.door.unlock(DOOR_NUMBER)
        shown = await people.door.wait_for_statement(digest)
        name = parse_reveal(join["reveal"]).owner.name
        words = " ".join(shown["words"])
        print(f"{people.owner.name} reads to {name}: {words}", file=sys.stderr, flush=True)
        await people.door.confirm(digest)
        print(f"{people.owner.name} let {name} in as an owner", file=sys.stderr, flush=True)


async def _certify_officers(settings: Settings, people: People, seen: Seen) -> None:
    for officer in await _awaiting(people):
        if officer["officer_id"] in seen:
            continue
        seen.add(officer["officer_id"])
        certificate = await people.agency.certify(officer, settings.people_dir, role="approver")
        await people.officer.send_certificate(officer["officer_id"], certificate)
        print(f"{AGENCY_NAME} certified {officer['name']}", file=sys.stderr, flush=True)


async def _bring_requests_on(
    settings: Settings, people: People, seen: Seen, waits_since_s: dict[str, float]
) -> None:
    for officer in (people.officer, people.cosigner):
        await _cosign_for(officer, seen)
    waiting = await people.officer.requests_in("moderation")
    for request_id in waiting:
        since_s = waits_since_s.setdefault(request_id, time.monotonic())
        if request_id in seen or time.monotonic() - since_s < MODERATED_AFTER_S:
            continue
        seen.add(request_id)
        try:
            await pass_request(settings, request_id)
        except StoryError:
            if request_id in await people.officer.requests_in("moderation"):
                raise
            continue  # a newcomer was quicker, as an administrator
        print("a moderator passed a request", file=sys.stderr, flush=True)


async def _cosign_for(officer: Officer, seen: Seen) -> None:
    for request_id in await officer.requests_to_cosign():
        if (mark := f"cosigned {request_id}") in seen:
            continue
        seen.add(mark)
        request = await officer.cosign_request(request_id)
        said = f"{officer.name} co-signed {request.case_number} of {request.officer_name}"
        print(said, file=sys.stderr, flush=True)


async def _awaiting(people: People) -> list[Json]:
    return list((await people.officer.api.get("/agency/officers"))["officers"])


def _newest_evidence(settings: Settings) -> Path:
    """Return the folder of what the story's officer opened last."""
    folder = settings.agency_key.parent / "evidence"
    opened = [path for path in folder.iterdir() if path.is_dir()]
    return max(opened, key=lambda path: path.stat().st_mtime_ns)


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) and Path(relative).exists() else path
