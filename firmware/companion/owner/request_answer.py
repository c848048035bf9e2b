"""`doorward answer`: answers a request of the police from a terminal (trust rules R6, R8, R10).

What is asked, what there is to give, the footage and whose keys would open it come from the
doorbell itself, over a line that only its key can answer. The owner sees all of it before their
passkey signs one statement, which names by digest the very text that was shown. The relay carries
both and can change neither; the doorbell judges the statement, and asks once more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Literal

import msgspec

from firmware.companion.owner.approval import (
    OpenDesk,
    Player,
    Terminal,
    ask_choice,
    print_paths,
    write_clip,
)
from firmware.companion.owner.asked_client import AskedClient
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.owner_statements import STATEMENT_LIFE_MS
from firmware.companion.owner.request_texts import (
    SHORT_CHARS,
    given_text,
    grant_asked,
    moment_ms,
    offered_lines,
    request_lines,
)
from firmware.companion.owner.waiting_texts import leaving_lines, one_line
from firmware.companion.viewer.clock import PlayerClock
from firmware.protocol.asking import ClipsWanted, LookWanted, OfferedClip, RequestLine
from firmware.protocol.decisions import Decline, Hold, IdentityGiven, RefuseAgency, Revoke
from firmware.protocol.grants import GrantTerms, Recipient, Terms

MAX_CLIPS = 16
NARROWING_LIFE_MS = 23 * 3600 * 1000
"""What only narrows may find the doorbell later: nearly as long as it takes any statement."""

Way = Literal["give", "decline", "hold", "refuse"]
Field = Literal["name", "address", "contact"]
FIELD_CHARS: dict[Field, int] = {"name": 200, "address": 300, "contact": 200}
"""As `IdentityGiven` has them."""
QUESTIONS: dict[Way, str] = {
    "give": "Sign that this is given",
    "decline": "Say no to it",
    "hold": "Keep this time for 14 days and decide later",
    "refuse": "Never hear of {agency} again",
}
HELP: dict[Way, str] = {
    "give": "",
    "decline": "Your doorbell won't bring it up again. The other owners hear of it, nobody else.",
    "hold": "Those recordings aren't overwritten; nothing is given, and the police can't see it.",
    "refuse": "None of its requests is told here any more, and it gets nothing. To allow it again "
    "needs a word at the door.",
}
TAKEN_BACK = (
    "If it hasn't left your doorbell, it never will. If nobody has fetched it, the relay is told\n"
    "to erase it. If the agency has it, it is asked to delete it, and the public log shows what\n"
    "it answers."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The options of the call; those that are missing are prompted for."""

    way: Way = "give"
    clips: tuple[str, ...] = ()
    """Ids of clips, or how they begin."""
    begin: str = ""
    end: str = ""
    has_audio: bool = False
    told: frozenset[Field] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedStatement:
    """The terms that the owner wants signed, after they have seen and accepted them."""

    terms: Terms
    life_ms: int


class RequestAnswer:
    """One run of the program, up to the owner's yes. Nothing is signed here."""

    def __init__(
        self,
        *,
        terminal: Terminal,
        folder: Path,
        clock: PlayerClock,
        player: Player,
        zone: tzinfo | None = None,
    ) -> None:
        """`folder` takes the clips, and exists."""
        self._terminal = terminal
        self._folder = folder
        self._clock = clock
        self._zone = zone
        self._player = player

    async def run(
        self, open_desk: OpenDesk, prefix: str, choice: Choice
    ) -> ProposedStatement | None:
        """Ask about one request; None: the owner doesn't want to answer it so."""
        async with open_desk() as desk:
            line = _chosen_request((await desk.requests()).requests, prefix)
            self._terminal.say("\n".join([*request_lines(line, self._zone), ""]))
            if choice.way != "give":
                return await asyncio.to_thread(self._narrow, line, choice.way)
            clips = await self._choose(desk, line, choice)
            if not clips:
                self._terminal.say("Nothing is given.")
                return None
            files = await self._fetch(desk, line, clips, choice)
        return await asyncio.to_thread(self._give, line, clips, files, choice)

    async def take_back(self, open_desk: OpenDesk, prefix: str) -> ProposedStatement | None:
        """Ask whether a grant is to be taken back (R14); None: the owner doesn't want it."""
        async with open_desk() as desk:
            given = (await desk.requests()).given
        digest = _only(prefix, [one.statement_digest for one in given], "doorbell knows no grant")
        one = next(one for one in given if one.statement_digest == digest)
        if one.stage == "taken_back":
            raise OwnerError("this was taken back before")
        self._terminal.say(f"{given_text(one, self._zone)}\n\n{TAKEN_BACK}")
        if await asyncio.to_thread(_yes, self._terminal, "Take it back") == "no":
            return None
        return ProposedStatement(terms=Revoke(grant_digest=digest), life_ms=NARROWING_LIFE_MS)

    def _narrow(self, line: RequestLine, way: Way) -> ProposedStatement | None:
        request = line.parsed()
        terms: dict[Way, Terms] = {
            "decline": Decline(request_digest=line.digest_of_request),
            "hold": Hold(from_ms=request.from_ms, to_ms=request.to_ms),
            "refuse": RefuseAgency(agency=request.agency, is_refused=True),
        }
        self._terminal.say(HELP[way])
        question = QUESTIONS[way].format(agency=one_line(line.agency))
        if _yes(self._terminal, question) == "no":
            return None
        return ProposedStatement(terms=terms[way], life_ms=NARROWING_LIFE_MS)

    async def _choose(
        self, desk: AskedClient, line: RequestLine, choice: Choice
    ) -> list[OfferedClip]:
        """Show what there is, and let the owner choose."""
        request = line.parsed()
        begin, end = choice.begin, choice.end
        wish = ClipsWanted(
            request_digest=line.digest_of_request,
            from_ms=moment_ms(begin, request, self._zone) if begin else request.from_ms,
            to_ms=moment_ms(end, request, self._zone) if end else request.to_ms,
        )
        now = await desk.clips(wish)
        if not now.clips:
            self._terminal.say("Your doorbell has no recording of that time (any more).")
            return []
        self._terminal.say("\n".join(offered_lines(now.clips, self._zone)))
        if now.is_more:
            self._terminal.say("There are more: choose a shorter time with --from and --to.")
        if choice.clips:
            numbers = [_number_of(prefix, now.clips) for prefix in choice.clips]
        else:
            numbers = await asyncio.to_thread(self._ask_numbers, now.clips)
        chosen = [now.clips[number] for number in sorted(set(numbers))]
        _check_chosen(chosen, has_audio=choice.has_audio)
        return chosen

    def _ask_numbers(self, clips: Sequence[OfferedClip]) -> list[int]:
        while True:
            typed = self._terminal.ask("Which of them? (numbers, such as 1 3; nothing: none) ")
            words = typed.replace(",", " ").split()
            if all(word.isascii() and word.isdigit() for word in words):
                numbers = [int(word) - 1 for word in words]
                if all(0 <= number < len(clips) for number in numbers):
                    return numbers
            self._terminal.say(f"Please type numbers from 1 to {len(clips)}.")

    async def _fetch(
        self, desk: AskedClient, line: RequestLine, clips: Sequence[OfferedClip], choice: Choice
    ) -> list[Path]:
        """Fetch what would leave: nobody says yes to what they couldn't look at."""
        files = []
        for number, one in enumerate(clips, 1):
            self._terminal.say(f"Fetching clip {number} of {len(clips)} …")
            digest = line.digest_of_request
            data = await desk.look(
                LookWanted(request_digest=digest, clip=one.clip, has_audio=choice.has_audio)
            )
            path = self._folder / f"{digest[:SHORT_CHARS]}-{number}.mp4"
            await asyncio.to_thread(write_clip, path, data)
            files.append(path)
        print_paths(self._terminal, files)
        return files

    def _give(
        self, line: RequestLine, clips: Sequence[OfferedClip], files: list[Path], choice: Choice
    ) -> ProposedStatement | None:
        request = line.parsed()
        identity = self._ask_identity(choice.told)
        asked = grant_asked(
            line,
            request,
            clips,
            has_audio=choice.has_audio,
            identity=identity,
            not_after_ms=self._clock.wall_ms() + STATEMENT_LIFE_MS,
        )
        self._terminal.say("\n".join(["", *leaving_lines(asked, self._zone), ""]))
        if line.is_example:
            self._terminal.say("It is an invented town's request, not the police's.")
        if (
            ask_choice(self._terminal, QUESTIONS["give"], ("yes", "no"), files, self._player)
            == "no"
        ):
            return None
        terms = GrantTerms(
            request_digest=line.digest_of_request,
            clips=[one.clip for one in clips],
            has_audio=choice.has_audio,
            identity=identity,
            recipient=Recipient(agency=request.agency, sealing_keys=list(line.sealing_keys)),
        )
        return ProposedStatement(terms=terms, life_ms=STATEMENT_LIFE_MS)

    def _ask_identity(self, told: frozenset[Field]) -> IdentityGiven:
        """Ask for what of themselves the owner gives; what wasn't named isn't given (R8)."""
        given: dict[Field, str] = {}
        for field, most in FIELD_CHARS.items():
            while field in told and field not in given:
                typed = self._terminal.ask(f"Your {field}, as they will read it: ").strip()
                if typed.isprintable() and 1 <= len(typed) <= most:
                    given[field] = typed
                else:
                    self._terminal.say(f"Please type one line of at most {most} characters.")
        return msgspec.convert(given, IdentityGiven)


def _yes(terminal: Terminal, question: str) -> Literal["yes", "no"]:
    words: tuple[Literal["yes", "no"], ...] = ("yes", "no")
    return ask_choice(terminal, question, words, [], None)


def _chosen_request(requests: Sequence[RequestLine], prefix: str) -> RequestLine:
    known = {one.digest_of_request: one for one in requests}
    return known[_only(prefix, list(known), "doorbell has no request")]


def _only(prefix: str, digests: Sequence[str], otherwise: str) -> str:
    """Return the one digest that begins so, or raise OwnerError."""
    if len(prefix) < SHORT_CHARS:
        raise OwnerError(f"give at least {SHORT_CHARS} characters: `doorward requests` has them")
    found = [digest for digest in digests if digest.startswith(prefix.lower())]
    if len(found) != 1:
        raise OwnerError(f"your {otherwise} {one_line(prefix)} (any more): see `doorward requests`")
    return found[0]


def _number_of(prefix: str, clips: Sequence[OfferedClip]) -> int:
    found = [
        number for number, one in enumerate(clips) if one.clip.clip_id.startswith(prefix.lower())
    ]
    if not prefix or len(found) != 1:
        raise OwnerError(f"not one recording of the asked time has the id {one_line(prefix)}")
    return found[0]


def _check_chosen(clips: Sequence[OfferedClip], *, has_audio: bool) -> None:
    for one in clips:
        if one.leaves.problem:
            raise OwnerError(f"one of them can't be given: {one_line(one.leaves.problem)}")
    if len(clips) > MAX_CLIPS:
        raise OwnerError(f"at most {MAX_CLIPS} recordings can be given at once")
    if clips and has_audio and not any(one.leaves.has_sound for one in clips):
        raise OwnerError("none of them has sound: leave out --audio")
