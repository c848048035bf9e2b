"""What a person says of a doorbell: from a file of answers, from flags, or asked in a terminal.

`Answers` are the words as they were given; `wishes_of` reads the invitation and the key that they
name and checks all of it, before any disk is opened. A flag counts more than the file; what neither
says is asked, if somebody is there to answer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.protocol.claims import Invitation
from firmware.protocol.settings_file import SECRET, SettingFault, decode, read_toml
from provisioning.cloud_init import Wishes, check_serial, check_wishes
from provisioning.errors import WifiRefused, WishRefused
from provisioning.invitation import LINKS, invitation_of, invited_network
from provisioning.wifi import Network, check_country, check_ssid, network_of

Board = Literal["zero2w", "pi3", "pi4", "pi5", "cm4"]
BOARDS: tuple[Board, ...] = ("zero2w", "pi3", "pi4", "pi5", "cm4")
MAX_INPUT_BYTES = 64 * 1024


def _words(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """One doorbell's answers; None is what nobody has said."""

    invitation: Annotated[str | None, _words("the relay's doorward.json, or its link")] = None
    relay: Annotated[str | None, _words("the relay's address, to refuse another's")] = None
    serial: Annotated[str | None, _words("the doorbell's name, as on its label")] = None
    policy: Annotated[str | None, _words("policy.txt, instead of the invitation's")] = None
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
        return f"Answers({self.serial!r}, {self.ssid!r})"


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
        for key in ("invitation", "policy", "ssh_key")
        if (value := getattr(answers, key)) and not value.startswith(LINKS)
    }
    return msgspec.structs.replace(answers, **beside)


def ask_missing(answers: Answers, terminal: Terminal, *, now_ms: int) -> Answers:
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

    def invited() -> Invitation:
        return _invitation_of(_now(answers, given), now_ms)

    if answers.invitation is None:
        ask(
            "invitation",
            "The relay's invitation (doorward.json, or its link): ",
            lambda text: _invitation_of(msgspec.structs.replace(answers, invitation=text), now_ms),
        )
    if answers.serial is None and invited().name is None:
        ask("serial", "The doorbell's name, such as front-door: ", check_serial)
    if answers.ssid is None and invited().network is None:
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


def wishes_of(answers: Answers, *, now_ms: int) -> Wishes:
    """Return what is put on the card, all of it checked; raise WishRefused."""
    invitation = _invitation_of(answers, now_ms)
    serial = answers.serial or invitation.name
    if serial is None:
        raise WishRefused("the doorbell has no name; give --serial, such as front-door")
    policy = None if invitation.policy is None else invitation.policy.encode()
    if answers.policy is not None:
        policy = read_file(Path(answers.policy), "policy")
    wishes = Wishes(
        serial=serial,
        claim=invitation.claim,
        policy=policy,
        network=_network_of(answers) or invited_network(invitation),
        ssh_key=_ssh_key_of(answers.ssh_key) or invitation.ssh_key,
        board=answers.board,
        has_sound=answers.sound,
        rotation=answers.rotation,
    )
    check_wishes(wishes)
    return wishes


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
            _network_of(msgspec.structs.replace(answers, password=password))
        except WifiRefused as error:
            terminal.tell(f"  {error}")
            continue
        return password


def _network_of(answers: Answers) -> Network | None:
    if not answers.ssid:
        return None
    if answers.password is None:
        raise WishRefused("nobody is there to type the Wi-Fi's password; give --password-file")
    return network_of(
        answers.ssid,
        answers.password,
        country=(answers.country or "").upper(),
        security=answers.security,
        is_hidden=answers.hidden,
    )


def _invitation_of(answers: Answers, now_ms: int) -> Invitation:
    if not answers.invitation:
        raise WishRefused(
            "the relay's invitation is missing; its operator makes one with "
            "`doorward-relay invite doorbell --out doorward.json`"
        )
    return invitation_of(answers.invitation, relay=answers.relay, now_ms=now_ms)


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
