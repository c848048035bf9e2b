"""What a person says of a doorbell: from a file of answers, from flags, or asked in a terminal.

`Answers` are the words as they were given; `wishes_of` reads the invitation and the key that they
name and checks all of it, before any disk is opened. A flag counts more than the file; what neither
says is asked, if somebody is there to answer.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.protocol.claims import MAX_LINK_BYTES, Claim, Invitation, read_invitation
from firmware.protocol.encoding import WireError
from firmware.protocol.settings_file import SECRET, SettingFault, decode, read_toml
from provisioning.cloud_init import Wishes, check_serial, check_wishes
from provisioning.errors import WifiRefused, WishRefused
from provisioning.wifi import Network, check_country, check_ssid, network_of

Board = Literal["zero2w", "pi3", "pi4", "pi5", "cm4"]
BOARDS: tuple[Board, ...] = ("zero2w", "pi3", "pi4", "pi5", "cm4")
MAX_INPUT_BYTES = 64 * 1024
LINKS = ("https://", "http://")


def _words(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """One doorbell's answers; None is what nobody has said."""

    invitation: Annotated[str | None, _words("the relay's doorward.json, or its link")] = None
    name: Annotated[str | None, _words("the doorbell's name, as on its label")] = None
    ssid: Annotated[str | None, _words("the Wi-Fi network's name")] = None
    password: Annotated[str | None, _words("the Wi-Fi network's password"), SECRET] = None
    security: Annotated[Literal["wpa2", "wpa3"], _words('"wpa2" or "wpa3"')] = "wpa2"
    hidden: Annotated[bool, _words("true or false")] = False
    country: Annotated[str | None, _words("where the Wi-Fi is, such as SE")] = None
    board: Annotated[Board | None, _words(f"one of {', '.join(BOARDS)}")] = None
    ssh_key: Annotated[str | None, _words("a file that ends with .pub")] = None
    sound: Annotated[bool, _words("true or false")] = False
    rotation: Annotated[Literal[0, 90, 180, 270], _words("0, 90, 180 or 270")] = 0

    def __repr__(self) -> str:
        """Never show the password."""
        return f"Answers({self.name!r}, {self.ssid!r})"


class Terminal(Protocol):
    """Where a person answers."""

    def ask(self, question: str) -> str:
        """Return what was typed, without what surrounds it."""
        ...

    def ask_secret(self, question: str) -> str:
        """Return what was typed without showing it."""
        ...

    def tell(self, text: str) -> None:
        """Show a line."""
        ...


def read_answers(path: Path) -> Answers:
    """Read a file of answers, or raise WishRefused naming the key that is wrong."""
    try:
        answers = decode(Answers, read_toml(path), folder=path.parent)
    except SettingFault as fault:
        raise WishRefused(f"{path}: {fault}") from fault
    beside = {
        key: str(path.parent / value)
        for key in ("invitation", "ssh_key")
        if (value := getattr(answers, key)) and not value.startswith(LINKS)
    }
    return msgspec.structs.replace(answers, **beside)


def ask_missing(answers: Answers, terminal: Terminal) -> Answers:
    """Return the answers with what a person types for those that are missing, once it is right."""
    given: dict[str, object] = {}

    def ask(key: str, question: str, check: Callable[[str], object]) -> str:
        while True:
            typed = terminal.ask(question)
            try:
                check(typed)
            except WishRefused as error:
                terminal.tell(f"  {error}")
                continue
            given[key] = typed
            return typed

    if answers.invitation is None:
        ask("invitation", "The relay's invitation (doorward.json, or its link): ", invitation_of)
    if answers.name is None and invitation_of(_now(answers, given).invitation).name is None:
        ask("name", "The doorbell's name, such as front-door: ", check_serial)
    if answers.ssid is None and invitation_of(_now(answers, given).invitation).network is None:
        ask("ssid", "Wi-Fi network (nothing: by cable): ", _check_network_name)
    wanted = _now(answers, given)
    if wanted.ssid and answers.country is None:
        ask(
            "country",
            "Country of the Wi-Fi, two letters such as SE: ",
            lambda country: check_country(country.upper()),
        )
    if wanted.ssid and answers.password is None:
        given["password"] = _asked_password(_now(answers, given), terminal)
    if answers.board is None:
        ask("board", f"Board ({', '.join(BOARDS)}; nothing: any): ", _check_board)
        given["board"] = given["board"] or None
    if answers.ssh_key is None:
        ask("ssh_key", "SSH public key, a .pub file (nothing: no SSH): ", _ssh_key_of)
    return _now(answers, given)


def wishes_of(
    answers: Answers, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 10**6
) -> Wishes:
    """Return what is put on the card, all of it checked; raise WishRefused."""
    invitation = invitation_of(answers.invitation)
    check_claim(invitation.claim, now_ms())
    name = answers.name or invitation.name
    if name is None:
        raise WishRefused("the doorbell has no name; give --name, such as front-door")
    wishes = Wishes(
        serial=name,
        claim=invitation.claim,
        policy=None if invitation.policy is None else invitation.policy.encode(),
        network=_network_of(answers, invitation),
        ssh_key=_ssh_key_of(answers.ssh_key) or invitation.ssh_key,
        board=answers.board,
        has_sound=answers.sound,
        rotation=answers.rotation,
    )
    check_wishes(wishes)
    return wishes


def invitation_of(text: str | None) -> Invitation:
    """Read an invitation from its file's path or from its link, or raise WishRefused."""
    if not text:
        raise WishRefused(
            "the relay's invitation is missing; its operator makes one with "
            "`doorward-relay invite doorbell --out doorward.json`"
        )
    is_link = text.startswith(LINKS)
    data = text.encode() if is_link else read_file(Path(text), "invitation", MAX_LINK_BYTES)
    try:
        return read_invitation(data)
    except WireError as error:
        what = "the link" if is_link else text
        raise WishRefused(f"{what} is no invitation of a relay's: {error}") from error


def check_claim(claim: Claim, now_ms: int) -> None:
    """Raise WishRefused if a claim has ended: a card with it would never enrol."""
    if claim.expires_ms <= now_ms:
        ended = time.strftime("%Y-%m-%d", time.localtime(claim.expires_ms / 1000))
        raise WishRefused(
            f"the invitation ended on {ended}; ask the relay's operator for another one"
        )


def read_file(path: Path, what: str, limit: int = MAX_INPUT_BYTES) -> bytes:
    """Return a small file's bytes, or raise WishRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WishRefused(f"the {what} {path} can't be read: {why}") from error
    if len(data) > limit:
        raise WishRefused(f"the {what} {path} has more than {limit} bytes")
    return data


def _now(answers: Answers, given: dict[str, object]) -> Answers:
    return msgspec.structs.replace(answers, **given)


def _asked_password(answers: Answers, terminal: Terminal) -> str:
    while True:
        password = terminal.ask_secret(f"Password of {answers.ssid}: ")
        try:
            _network_of(msgspec.structs.replace(answers, password=password), None)
        except WifiRefused as error:
            terminal.tell(f"  {error}")
            continue
        return password


def _network_of(answers: Answers, invitation: Invitation | None) -> Network | None:
    if answers.ssid == "":
        return None
    if answers.ssid is not None:
        if answers.password is None:
            raise WishRefused("nobody is there to type the Wi-Fi's password; give --password-file")
        return network_of(
            answers.ssid,
            answers.password,
            country=(answers.country or "").upper(),
            security=answers.security,
            is_hidden=answers.hidden,
        )
    if invitation is None or invitation.network is None:
        return None
    invited = invitation.network
    return network_of(
        invited.ssid,
        invited.key,
        country=invited.country,
        security=invited.security,
        is_hidden=invited.is_hidden,
    )


def _ssh_key_of(path: str | None) -> str | None:
    if not path:
        return None
    return read_file(Path(path), "SSH key").decode(errors="replace").strip()


def _check_network_name(ssid: str) -> None:
    if ssid:
        check_ssid(ssid)


def _check_board(board: str) -> None:
    if board and board not in BOARDS:
        raise WishRefused(f"{board!r} is none of the boards {', '.join(BOARDS)}")
