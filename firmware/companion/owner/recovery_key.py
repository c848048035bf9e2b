"""`doorward recovery`: makes a recovery key (shown once, stored nowhere), checks and uses one."""

import sys
from collections.abc import Callable, Sequence

from firmware.companion.owner.approval import Terminal
from firmware.companion.owner.errors import OwnerError, PageFailed
from firmware.companion.owner.local_page_client import LocalPageClient
from firmware.companion.owner.terminal_qr import draw_qr, is_drawable
from firmware.enrolment.number_choice import propose
from firmware.protocol.owner_codes import recovery_code_text
from firmware.protocol.pairing import recovery_key_words
from firmware.protocol.plain_text import plain
from firmware.protocol.recovery import RecoveryUse, recovery_use_text
from firmware.vault.recovery_words import (
    make_recovery_key,
    recovery_keys_of_words,
    sign_recovery_use,
)


def new_recovery() -> str:
    """Make one; return all that is shown of it."""
    key = make_recovery_key()
    code = recovery_code_text(key.public)
    lines = [
        "These words open your clips when the doorbell has died, and let you in again when all",
        "your passkeys are lost. They are shown once and kept nowhere: write them down and lay",
        "them where you keep papers, not beside the doorbell.",
        "",
        *_numbered(key.words),
        "",
        *_drawn("The same words, for a printer or another screen:", " ".join(key.words)),
        "Everything below is public. Write these six words on the same paper: the app and the",
        "doorbell's own page show them too, and you confirm only if they are the same.",
        "",
        f"  {' '.join(recovery_key_words(key.public))}",
        "",
        "Paste this code in the owner's app, under Settings, When all passkeys are lost:",
        "",
        f"  {code}",
        "",
        *_drawn("The same code, for the phone:", code),
        "The app's word waits until you confirm it at the doorbell. Instead of the app, the key",
        "that opens clips, and it alone, can be set in doorbell.toml:",
        "",
        "[storage]",
        f'recovery_key = "{key.public_text}"',
        "",
        "Clips that are recorded from then on can be opened with the words. Test what you wrote",
        "down: doorward recovery --check. Then clear this window.",
    ]
    return "\n".join(lines)


def check_recovery() -> str:
    """Read words from standard input; return what they belong to, or raise VaultError."""
    keys = recovery_keys_of_words(read_words())
    return "\n".join(
        (
            f'The words are right. They belong to recovery_key = "{keys.sealing_key}"',
            f"and to the six words: {' '.join(recovery_key_words(keys))}",
        )
    )


def read_words() -> str:
    """Return the recovery words that somebody types, up to an empty line."""
    if sys.stdin.isatty():
        print("Type the recovery words (in one or more lines), then an empty line:")
    lines = []
    while line := sys.stdin.readline().strip():
        lines.append(line)
    return " ".join(lines)


def _numbered(words: Sequence[str]) -> list[str]:
    cells = [f"{number:2}. {word:9}" for number, word in enumerate(words, 1)]
    return ["  " + " ".join(cells[i : i + 3]).rstrip() for i in range(0, len(cells), 3)]


def _drawn(says: str, text: str) -> list[str]:
    return [says, draw_qr(text), ""] if is_drawable() else []


def pair_again(
    page: LocalPageClient, terminal: Terminal, *, ask_secret: Callable[[str], str]
) -> None:
    """Let a new app in with the recovery words, at a doorbell whose service button was held.

    Raises PageFailed, VaultError or OwnerError. The words never leave this machine.
    """
    shown = page.pairing()
    if shown.state not in ("words", "pressed") or not shown.is_recovery:
        raise PageFailed(
            "nobody is recovering there: hold the service button inside the case for three "
            "seconds, choose “Pair a phone instead” on the doorbell's own page under Wi-Fi, show "
            "the new app's code to the camera, and run this again"
        )
    reveal = shown.revealed()
    terminal.say(f"“{plain(reveal.owner.name)}” wants to be an owner. Tap these words in the app:")
    terminal.say(f"\n  {' '.join(shown.words())}\n")
    question = "Has the app taken all four, and did you press the service button? (yes/no) "
    if terminal.ask(question).strip() != "yes":
        raise OwnerError("then somebody is in between: stop here, and begin again")
    if page.pairing().reveal != shown.reveal:
        raise PageFailed("the doorbell pairs with another app now: stop here, and begin again")
    words = ask_secret("The 18 recovery words: ")
    use = RecoveryUse(device=shown.device, reveal_digest=reveal.digest())
    signed = sign_recovery_use(words, use)
    proposal = propose()
    number = terminal.ask(f"A new door number (six digits; Enter takes {proposal}): ").strip()
    number = number or proposal
    page.recover(recovery_use_text(signed), number)
    terminal.say(
        "Done: the new app's passkey is an owner, and every owner is told. This recovery code "
        "counts no more. Print a new one: doorward recovery"
    )
