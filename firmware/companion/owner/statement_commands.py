"""The commands `doorward renew`, `let-in` and `add-key`, and the doorbell's reply."""

import argparse

from firmware.companion.owner.errors import NotTaken
from firmware.companion.owner.owner_statements import add_key, let_in, renew
from firmware.companion.owner.pairing_commands import TerminalTimeouts, at_home
from firmware.companion.owner.prompts import Keyboard, wall_ms
from firmware.companion.owner.reply_inbox import Answer, ReplyInbox
from firmware.companion.owner.waiting_texts import one_line, time_text
from firmware.companion.viewer.folder import Folder
from firmware.protocol.notes import ConfirmationWanted, StatementRefused
from firmware.protocol.owner_codes import parse_approver_code
from firmware.protocol.pairing import approver_words

ANSWER_S = 15.0
"""A doorbell that is there answers in a second or two."""
UNANSWERED = "The doorbell hasn't answered yet. Once it has, `doorward owners` shows it."


def run_renew(options: argparse.Namespace) -> int:
    """Sign that this machine's keys count for 30 more days."""
    keys = Folder(options.data).keys()
    with at_home(options) as (account, passkey, paired):
        answers = ReplyInbox(account, paired, keys)
        answers.begin()
        digest = renew(account, passkey, paired, keys.public, now_ms=wall_ms())
        answer = _wait_for(answers, digest)
    until_ms = answers.watches_until_ms
    until = "for 30 more days" if until_ms is None else f"until {time_text(until_ms, None)}"
    print(
        outcome_text(
            answer,
            waits="The doorbell didn't know this machine any more",
            done=f"This machine may watch {until}.",
        )
    )
    return 0


def run_let_in(options: argparse.Namespace) -> int:
    """Show who has asked to be an owner, and sign for those who are let in."""
    keys, is_refused = Folder(options.data).keys(), False
    with at_home(options) as (account, passkey, paired):
        answers = ReplyInbox(account, paired, keys)
        answers.begin()
        terminal = Keyboard()
        signed = let_in(account, passkey, paired, terminal, now_ms=wall_ms())
        for digest, name in signed.items():
            who = f"“{one_line(name)}”"
            try:
                print(
                    outcome_text(
                        _wait_for(answers, digest),
                        waits=f"{who} waits for your yes, once their app has the four words",
                        done=f"{who} is an owner now.",
                    )
                )
            except NotTaken as error:
                print(f"{who}: {error}")
                is_refused = True
    if not signed:
        print("Nobody was let in. Whoever wants to be joins first, by the operator's invitation.")
    return 1 if is_refused else 0


def run_add_key(options: argparse.Namespace) -> int:
    """Sign that a key may confirm the owner's statements from anywhere."""
    code, keys = parse_approver_code(options.code), Folder(options.data).keys()
    with at_home(options) as (account, passkey, paired):
        answers = ReplyInbox(account, paired, keys)
        answers.begin()
        digest = add_key(account, passkey, paired, code, now_ms=wall_ms())
        name, words = one_line(code.name), " ".join(approver_words(code.key))
        print(f"“{name}” has these six words:\n\n  {words}\n")
        answer = _wait_for(answers, digest)
    print(
        outcome_text(
            answer,
            waits="The key waits for your yes, only if its six words there are the same",
            done="The key counts now.",
        )
    )
    return 0


def outcome_text(answer: Answer | None, *, waits: str, done: str) -> str:
    """Return what came of a statement in words; NotTaken if the doorbell refused it."""
    if answer is None:
        return UNANSWERED
    if isinstance(answer, StatementRefused):
        raise NotTaken(one_line(answer.reason), one_line(answer.detail))
    if isinstance(answer, ConfirmationWanted):
        return f"{waits}: its own page asks, for ten minutes: {one_line(answer.door_page)}"
    return done


def _wait_for(answers: ReplyInbox, digest: str) -> Answer | None:
    print("Signed and sent.")
    return answers.wait_for(digest, patience=TerminalTimeouts(), wait_s=ANSWER_S)
