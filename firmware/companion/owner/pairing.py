"""`doorward pair`: pairing as a doorbell's first owner from a terminal, without a browser.

    sign_in ─► passkey registered (or known) ─► pair ─► code, answer, reveal, words ─► set_up

What the relay says is held to what this program knows: its own passkey, and that a doorbell's id is
made of its key. What it can't know, whether these are *this* doorbell's keys, the owner tells by
four words that only the doorbell shows.
"""

import contextlib
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Literal, Protocol
from urllib.parse import urlsplit

from firmware.companion.authenticator.errors import AccountFailed
from firmware.companion.authenticator.passkey import Site
from firmware.companion.owner.account import Account, PairingStatus
from firmware.companion.owner.approval import Terminal
from firmware.companion.owner.errors import OwnerError, PairingFailed
from firmware.companion.owner.local_page_client import PairingShown
from firmware.companion.owner.owner_passkey import OwnerPasskey
from firmware.companion.owner.wrong_taps import WrongTaps
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.protocol.encoding import (
    DeviceId,
    Document,
    P256Key,
    WireError,
    X25519Key,
    new_id,
    unb64u,
)
from firmware.protocol.grants import Owner, OwnerKeys
from firmware.protocol.pairing import (
    NONCE_BYTES,
    AnsweredPairing,
    PairingOffer,
    SecondAnswer,
    word_list,
)
from firmware.protocol.passkeys import PasskeyKey, login_challenge
from firmware.protocol.plain_text import plain
from firmware.protocol.players import PlayerSetup, RelayUrl, setup_text

WINDOW_S = 600.0
"""As long as the relay and the doorbell wait."""
POLL_S = 1.0
OFFERED = 4
"""Words to choose from, for each of the four."""
AGAIN = (
    "Hold the service button inside the case for three seconds, so that the doorbell forgets this "
    "code, and run the same command again"
)


class PairedDoorbell(Document, frozen=True, kw_only=True):
    """The doorbell as its words were found, and who owns it: public halves only."""

    v: Literal[1] = 1
    relay: RelayUrl
    device: DeviceId
    identity_key: P256Key
    sealing_key: X25519Key
    owner: Owner


class PairingPage(Protocol):
    """The doorbell's own page, as `local_page_client.LocalPageClient`."""

    def pairing(self) -> PairingShown:
        """Return where pairing stands there, or raise PageFailed."""
        ...


class PairingTimeouts(Protocol):
    """The timeouts of pairing, and the display meanwhile."""

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait for so long."""
        ...

    def show(self, text: str) -> None:
        """Show one line in the place of the one before; an empty one clears it."""
        ...


def check_way(relay: str, terminal: Terminal) -> None:
    """Ask whether plain HTTP will do, unless it stays at home; OwnerError if it won't."""
    if urlsplit(relay).scheme == "https" or _is_at_home(urlsplit(relay).hostname or ""):
        return
    terminal.say(
        f"{plain(relay)} is plain HTTP: whoever is on the way can read and change what passes, and "
        "use your account at the relay, your invitation too. They can't put other keys in the "
        "place of yours or the doorbell's unseen: the four words would be others."
    )
    if terminal.ask("Go on without encryption? (yes/no) ").strip().lower() != "yes":
        raise OwnerError("then give the relay's address with https://")


def sign_in(
    account: Account,
    passkey: OwnerPasskey,
    site: Site,
    *,
    name: str,
    ask_invitation: Callable[[], str],
) -> PasskeyKey:
    """Sign in with the passkey; one that the relay doesn't know yet is registered.

    Raises AccountFailed, KeyRefused or PairingFailed.
    """
    if passkey.key is not None:
        try:
            return log_in(account, passkey)
        except AccountFailed as error:
            if error.code != "passkey":
                raise
    begun = account.begin_registration(ask_invitation(), name)
    if begun.options.rp.id != site.rp_id:
        raise PairingFailed(
            f"the relay's owners sign for {begun.options.rp.id}, not for {site.rp_id}: give the "
            "address of its owner's app with --owner-origin"
        )
    try:
        attested = passkey.attest(begun.options)
    except WireError as error:
        raise PairingFailed(f"the relay began a registration that can't be: {error}") from error
    told = account.finish_registration(begun.session, attested)
    return _own(told.key, attested.key)


def log_in(account: Account, passkey: OwnerPasskey) -> PasskeyKey:
    """Sign in with a passkey that is registered; AccountFailed, KeyRefused or PairingFailed."""
    begun = account.begin_login()
    try:
        given = unb64u(begun.options.challenge)
    except WireError as error:
        raise PairingFailed(f"the relay began a login that can't be: {error}") from error
    told = account.finish_login(begun.session, passkey.sign(login_challenge(given)))
    return _own(told.key, passkey.key)


def pair(
    account: Account,
    owner: OwnerKeys,
    *,
    relay: str,
    terminal: Terminal,
    patience: PairingTimeouts,
    show_code: Callable[[str], None],
    taps: WrongTaps,
    door: PairingPage | None = None,
    door_url: str = "",
    policy_digest: str | None = None,
    chance: random.Random | None = None,
) -> PairedDoorbell:
    """Show the code to a doorbell, let the owner find the words, and wait until it is paired.

    Raises AccountFailed, PageFailed, PairingFailed or OwnerError. The keys that it returns are
    those whose words were found, whatever the relay says later. `policy_digest` is that of the
    policy that the doorbell must follow, if one is known. `chance` mixes the words offered.
    """
    if taps.is_too_many:
        raise PairingFailed(_stopped_for_today(door_url))
    offer = PairingOffer(owner, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
    pairing_id = offer.code.pairing_id
    account.start_pairing(pairing_id)
    show_code(offer.code.text)
    told = _wait_for(account, offer, _is_answered, patience, "the doorbell reads the code")
    answered = _take(account, offer, told)[0]
    paired = PairedDoorbell(
        relay=relay,
        device=answered.answer.device,
        identity_key=answered.answer.identity_key,
        sealing_key=answered.answer.sealing_key,
        owner=owner.owner,
    )
    if door is not None:
        shown = door.pairing()
        with _ending_both_sides(account, offer):
            _compare_at_home(shown, offer, answered)
    if policy_digest not in (None, answered.answer.policy_digest):
        with _ending_both_sides(account, offer):
            raise PairingFailed(
                "the doorbell follows another policy of public logs than the file that you gave "
                f"(its register: {plain(answered.answer.register_origin) or 'none'}): whoever set "
                "it up may have given it logs of their own. Nothing was paired"
            )
    account.reveal(pairing_id, answered.reveal.encode().decode())
    _say_what_answered(terminal, answered)
    if not _finds_words(terminal, answered.words, chance or random.SystemRandom()):
        taps.add()
        with _ending_both_sides(account, offer):
            raise PairingFailed(
                "then another code was read, or somebody is in between: don't press the service "
                f"button, choose no door number. Nothing was set up here. "
                f"{_stopped_for_today(door_url) if taps.is_too_many else AGAIN}"
            )
    where = f" ({door_url})" if door_url else ""
    terminal.say(
        "All four are right. Now press the service button inside the case once, shortly; then set "
        f"your door number on the doorbell's own page{where}."
    )
    _wait_for(account, offer, _is_paired, patience, "the door number is set")
    return paired


def set_up(account: Account, folder: Folder, paired: PairedDoorbell, keys: PlayerKeys) -> None:
    """Let this machine reach the doorbell: its keys came with the code, so they count already."""
    setup = PlayerSetup(
        relay=paired.relay,
        device=paired.device,
        identity_key=paired.identity_key,
        token=account.viewer_token(paired.device, keys.public.id),
    )
    folder.keep_setup(setup_text(setup))


def _is_at_home(host: str) -> bool:
    """Tell whether a host is this machine, or by its address in the same private network."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local


def _own(told: PasskeyKey, own: PasskeyKey | None) -> PasskeyKey:
    """Return the owner's own key: the code that the doorbell reads must never hold another."""
    if own is None or told != own:
        raise PairingFailed(
            "the relay names another passkey than the one on this machine, as if it wanted to be "
            "the owner: don't pair through it, and ask its operator"
        )
    return own


def _is_answered(told: PairingStatus) -> bool:
    return bool(told.answers)


def _is_paired(told: PairingStatus) -> bool:
    return told.state == "paired"


@contextlib.contextmanager
def _ending_both_sides(account: Account, offer: PairingOffer) -> Iterator[None]:
    """End the pairing at the relay and the doorbell too if it fails here."""
    try:
        yield
    except PairingFailed:
        with contextlib.suppress(AccountFailed):  # the doorbell forgets it with the window
            account.stop_pairing(offer.code.pairing_id)
        raise


def _take(account: Account, offer: PairingOffer, told: PairingStatus) -> list[AnsweredPairing]:
    """Return what doorbells answered; PairingFailed if it is none, or there are two."""
    with _ending_both_sides(account, offer):
        try:
            return [offer.take_answer(signed) for signed in told.answers]
        except SecondAnswer as error:
            raise PairingFailed(f"{error}. Choose no door number. {AGAIN}") from error
        except WireError as error:
            raise PairingFailed(
                f"what answered through the relay isn't a doorbell ({error}): somebody is in "
                f"between. {AGAIN}"
            ) from error


def _say_what_answered(terminal: Terminal, answered: AnsweredPairing) -> None:
    register = plain(answered.answer.register_origin) or "none: it can release nothing"
    owned = (
        "It has an owner already, so its page will ask for the printed recovery code.\n"
        if answered.answer.is_recovery
        else ""
    )
    terminal.say(
        f"The doorbell has read it. The public register that it follows: {register}.\n{owned}"
        "Its own page shows four words, and it says them if it has a loudspeaker. They aren't "
        "shown here: choose the one that you hear or read there."
    )


def _finds_words(terminal: Terminal, words: Sequence[str], chance: random.Random) -> bool:
    """Offer four words for each, and return whether the right one was chosen every time."""
    others = [word for word in word_list() if word not in words]
    for number, word in enumerate(words, 1):
        offered = [word, *chance.sample(others, OFFERED - 1)]
        chance.shuffle(offered)
        listed = "   ".join(f"{index} {one}" for index, one in enumerate(offered, 1))
        terminal.say(f"Word {number} of {len(words)}:   {listed}   0 none of these")
        numbers = {"0": "", **{str(index): one for index, one in enumerate(offered, 1)}}
        while (typed := terminal.ask("Which one? (0-4) ").strip()) not in numbers:
            terminal.say("Type its number.")
        if numbers[typed] != word:
            return False
    return True


def _stopped_for_today(door_url: str) -> str:
    page = f"{door_url}/pair" if door_url else "its own page in your home network"
    return (
        "Twice within a day another word was chosen, so this program stops for a day. Look at "
        f"{page}: it says why pairing closed. If these weren't slips, "
        "don't pair through this relay, and ask its operator"
    )


def _compare_at_home(shown: PairingShown, offer: PairingOffer, answered: AnsweredPairing) -> None:
    """Compare the relay's word with the doorbell's own page: a second pair of eyes, no substitute.

    The page is plain HTTP, so whoever sits in the home network as well could make both the same.
    """
    if shown.state == "paired":  # somebody was quick; the words are found all the same
        return
    if shown.state not in ("answered", "words", "pressed"):
        raise PairingFailed(
            f"the relay says that a doorbell answered, but this one has read no code. {AGAIN}"
        )
    if shown.code != offer.code.text:
        raise PairingFailed(
            f"the doorbell has read another code than this one. Choose no door number. {AGAIN}"
        )
    if shown.answer != answered.signed.encode().decode():
        raise PairingFailed(
            "the relay names other keys than the doorbell's own page: somebody is in between, or "
            f"--door is another doorbell. Choose no door number. {AGAIN}"
        )


def _wait_for(
    account: Account,
    offer: PairingOffer,
    is_it: Callable[[PairingStatus], bool],
    patience: PairingTimeouts,
    until: str,
) -> PairingStatus:
    """Ask until the pairing has come so far; a relay that is away for a while may be."""
    ends_s = patience.monotonic_s() + WINDOW_S
    away = ""
    try:
        while (left_s := ends_s - patience.monotonic_s()) > 0:
            minutes, seconds = divmod(int(left_s), 60)
            patience.show(f"Waiting until {until} ({minutes}:{seconds:02} left){away} …")
            try:
                told = account.pairing(offer.code.pairing_id)
                _take(account, offer, told)
                if is_it(told):
                    return told
                away = ""
            except AccountFailed as error:
                if error.code == "not_found":
                    raise PairingFailed(f"the relay has forgotten this code. {AGAIN}") from error
                if not error.is_away:
                    raise
                away = "; the relay doesn't answer just now"
            patience.pause(POLL_S)
    finally:
        patience.show("")
    raise PairingFailed(f"ten minutes went by before {until}, so the code is too old. {AGAIN}")
