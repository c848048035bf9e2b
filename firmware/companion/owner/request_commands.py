"""The commands `doorward requests` and `doorward answer`, and the doorbell's reply."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

from firmware.companion.owner.approval import OpenDesk, player_here
from firmware.companion.owner.doorbell_folder import clip_folder, open_asked_client
from firmware.companion.owner.errors import NotTaken, OwnerError
from firmware.companion.owner.owner_statements import send
from firmware.companion.owner.pairing import PairedDoorbell
from firmware.companion.owner.pairing_commands import (
    DOORBELL_NAME,
    TerminalTimeouts,
    at_home,
    kept_doorbell,
)
from firmware.companion.owner.prompts import Keyboard, wall_ms
from firmware.companion.owner.reply_inbox import Answer, ReplyInbox
from firmware.companion.owner.request_answer import Choice, ProposedStatement, RequestAnswer
from firmware.companion.owner.request_texts import SHORT_CHARS, requests_lines
from firmware.companion.owner.waiting_texts import one_line
from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.folder import Folder
from firmware.protocol.decisions import Decline, Hold, RefuseAgency, Revoke
from firmware.protocol.notes import ConfirmationWanted, StatementRefused

ANSWER_S = 20.0
"""A doorbell that is there answers in a second or two."""

AskOwner = Callable[[RequestAnswer, OpenDesk], Coroutine[None, None, ProposedStatement | None]]
"""Shows what there is, and asks what is to be signed."""

_DONE = {
    Decline: "Your doorbell took your no.",
    Hold: "Your doorbell keeps that time for 14 days.",
    RefuseAgency: "Your doorbell will tell you of no request of that agency any more.",
    Revoke: "Your doorbell took it back.",
}


def run_requests(options: argparse.Namespace) -> int:
    """Show the requests that concern this door, as the doorbell read them."""

    async def shown() -> list[str]:
        async with open_asked_client(Folder(options.data)) as desk:
            return requests_lines(await desk.requests(), None)

    print("\n".join(asyncio.run(shown())))
    return 0


def run_answer(options: argparse.Namespace) -> int:
    """Give recordings for a request, or say no to it; OwnerError if options disagree."""
    choice = Choice(
        way=options.way,
        clips=tuple(options.clip),
        begin=options.begin,
        end=options.end,
        has_audio=options.audio,
        told=options.tell,
    )
    if choice.way != "give" and choice != Choice(way=choice.way):
        raise OwnerError("only what is given has clips, times, sound, or anything of yourself")
    return _ask_and_send(
        options,
        options.save,
        lambda answering, desk: answering.run(desk, options.request, choice),
    )


def run_take_back(options: argparse.Namespace) -> int:
    """Sign that a grant is taken back."""
    return _ask_and_send(
        options, None, lambda answering, desk: answering.take_back(desk, options.grant)
    )


def _ask_and_send(options: argparse.Namespace, saved: Path | None, ask_owner: AskOwner) -> int:
    folder = Folder(options.data)
    check_same_doorbell(folder, kept_doorbell(folder.path / DOORBELL_NAME))
    with clip_folder(saved) as clips:
        answering = RequestAnswer(
            terminal=Keyboard(), folder=clips, clock=MachineClock(), player=player_here()
        )
        wanted = asyncio.run(ask_owner(answering, lambda: open_asked_client(folder)))
    print("Nothing was signed." if wanted is None else _send(options, folder, wanted))
    return 0


def check_same_doorbell(folder: Folder, paired: PairedDoorbell) -> None:
    """Raise OwnerError unless the line goes to the doorbell that statements are sealed to.

    What one doorbell says must never be signed for another.
    """
    setup = folder.setup()
    if (setup.device, setup.identity_key) != (paired.device, paired.identity_key):
        raise OwnerError(
            "this folder watches another doorbell than it was paired with: give the folder that "
            "you paired in with --data"
        )


def _send(options: argparse.Namespace, folder: Folder, wanted: ProposedStatement) -> str:
    with at_home(options) as (account, passkey, paired):
        answers = ReplyInbox(account, paired, folder.keys())
        answers.begin()
        digest = send(account, passkey, paired, wanted.terms, wall_ms(), life_ms=wanted.life_ms)
        print("Signed and sent.")
        answer = answers.wait_for(digest, patience=TerminalTimeouts(), wait_s=ANSWER_S)
    return outcome_text(wanted, digest, answer)


def outcome_text(wanted: ProposedStatement, digest: str, answer: Answer | None) -> str:
    """Return what came of a statement in words; NotTaken if the doorbell refused it."""
    if isinstance(answer, StatementRefused):
        raise NotTaken(one_line(answer.reason), one_line(answer.detail))
    if isinstance(answer, ConfirmationWanted):
        return (
            "Your doorbell has checked it, and asks you once more within ten minutes: nothing\n"
            "leaves before that. Confirm at its own page on your home network,\n\n"
            f"  {one_line(answer.door_page)}\n\n"
            "or from here, if you have added a key that confirms:\n\n"
            f"  doorward approve {digest[:SHORT_CHARS]}"
        )
    if answer is None:
        return (
            "Your doorbell hasn't answered yet: is it online? It reads it once it is, and "
            "`doorward requests` shows what it knows of your answers."
        )
    return _DONE.get(type(wanted.terms), "Your doorbell took it.")
