"""`doorward requests` and `doorward answer`: what they take, and what the doorbell says to it."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

from firmware.companion.owner.approval import OpenDesk, Terminal
from firmware.companion.owner.doorbell_folder import clip_folder, open_desk
from firmware.companion.owner.errors import NotTaken, OwnerError
from firmware.companion.owner.owner_statements import send
from firmware.companion.owner.pairing import PairedDoorbell
from firmware.companion.owner.pairing_commands import (
    DOORBELL_NAME,
    at_home,
    kept_doorbell,
    patience_here,
)
from firmware.companion.owner.prompts import add_folder, add_key_file, ask, wall_ms
from firmware.companion.owner.reply_inbox import Answer, Answers
from firmware.companion.owner.request_answer import FIELD_CHARS, Answering, Choice, Wanted
from firmware.companion.owner.request_texts import SHORT_CHARS, requests_lines
from firmware.companion.owner.waiting_texts import one_line
from firmware.companion.viewer.folder import Folder
from firmware.protocol.decisions import Decline, Hold, RefuseAgency, Revoke
from firmware.protocol.notes import ConfirmationWanted, StatementRefused

ANSWER_S = 20.0
"""A doorbell that is there answers in a second or two."""

AskOwner = Callable[[Answering, OpenDesk], Coroutine[None, None, Wanted | None]]
"""Shows what there is, and asks what is to be signed."""

_ANSWER = """
Answer a request of the police from here. What they ask, your recordings, and whose keys could open
them come straight from your doorbell: the relay carries all of it and can read or change nothing.

Without --decline, --hold or --never-again you give recordings: you choose among those that your
doorbell has of the asked time, watch exactly what would leave, and your passkey signs for that.
Then the doorbell asks once more, at its own page or by `doorward approve`, and nothing leaves
before that. To do nothing is an answer, too, and nobody can see it.
"""
_DONE = {
    Decline: "Your doorbell took your no.",
    Hold: "Your doorbell keeps that time for 14 days.",
    RefuseAgency: "Your doorbell will tell you of no request of that agency any more.",
    Revoke: "Your doorbell took it back.",
}


def add_requests(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    requests = commands.add_parser(
        "requests",
        help="show what the police ask of your door, as your doorbell itself read it",
        description="Shows the requests in the public register that concern this door, as the "
        "doorbell itself read and checked them.",
    )
    requests.set_defaults(run=_requests)
    answer = _add_answer(commands)
    taking = commands.add_parser(
        "take-back",
        help="take back what you gave, where you paired from",
        description="Signs with your passkey that a grant is taken back: it counts at once.",
    )
    taking.add_argument("grant", help="how it begins, as `doorward requests` shows it")
    taking.set_defaults(run=_take_back)
    for command in (answer, taking):
        add_key_file(command)
    for command in (requests, answer, taking):
        add_folder(command)


def _add_answer(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    answer = commands.add_parser(
        "answer",
        help="give recordings for a request of the police, or say no, where you paired from",
        description=_ANSWER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    answer.add_argument("request", help="how it begins, as `doorward requests` shows it")
    ways = answer.add_mutually_exclusive_group()
    for option, way, says in (
        ("--decline", "decline", "say no to it"),
        ("--hold", "hold", "keep its time for 14 days, and decide later"),
        ("--never-again", "refuse", "hear of none of that agency's requests any more"),
    ):
        ways.add_argument(option, dest="way", action="store_const", const=way, help=says)
    answer.add_argument(
        "--clip", action="append", default=[], metavar="ID", help="give this recording, by its id "
        "or how that begins (again for each; else you are asked)",
    )  # fmt: skip
    answer.add_argument(
        "--from", dest="begin", default="", metavar="TIME", help="give nothing from before this, "
        "such as 14:02:10",
    )  # fmt: skip
    answer.add_argument(
        "--to", dest="end", default="", metavar="TIME", help="give nothing from after this"
    )
    answer.add_argument("--audio", action="store_true", help="give their sound as well")
    answer.add_argument(
        "--tell", type=_fields, default=frozenset(), metavar="LIST", help="give of yourself what "
        "is named: name,address,contact (you are asked for each; else nothing)",
    )  # fmt: skip
    answer.add_argument(
        "--save", type=Path, metavar="DIR", help="keep the clips there (else they are deleted)"
    )
    answer.set_defaults(run=_answer, way="give")
    return answer


def _fields(text: str) -> frozenset[str]:
    fields = frozenset(text.split(","))
    if not fields <= FIELD_CHARS.keys():
        raise argparse.ArgumentTypeError(f"of {', '.join(FIELD_CHARS)}, with commas between")
    return fields


def _requests(options: argparse.Namespace) -> int:
    async def shown() -> list[str]:
        async with open_desk(Folder(options.data)) as desk:
            return requests_lines(await desk.requests(), None)

    print("\n".join(asyncio.run(shown())))
    return 0


def _answer(options: argparse.Namespace) -> int:
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


def _take_back(options: argparse.Namespace) -> int:
    return _ask_and_send(
        options, None, lambda answering, desk: answering.take_back(desk, options.grant)
    )


def _ask_and_send(options: argparse.Namespace, saved: Path | None, ask_owner: AskOwner) -> int:
    folder = Folder(options.data)
    check_same_doorbell(folder, kept_doorbell(folder.path / DOORBELL_NAME))
    with clip_folder(saved) as clips:
        answering = Answering(terminal=Terminal(say=print, ask=ask), folder=clips, wall_ms=wall_ms)
        wanted = asyncio.run(ask_owner(answering, lambda: open_desk(folder)))
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


def _send(options: argparse.Namespace, folder: Folder, wanted: Wanted) -> str:
    with at_home(options) as (account, passkey, paired):
        answers = Answers(account, paired, folder.keys())
        answers.begin()
        digest = send(account, passkey, paired, wanted.terms, wall_ms(), life_ms=wanted.life_ms)
        print("Signed and sent.")
        answer = answers.wait_for(digest, patience=patience_here(), wait_s=ANSWER_S)
    return said_of(wanted, digest, answer)


def said_of(wanted: Wanted, digest: str, answer: Answer | None) -> str:
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
