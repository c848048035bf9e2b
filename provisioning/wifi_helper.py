"""doorward-wifi: changes the board's Wi-Fi network for the doorbell, which has no right to.

    python -m provisioning.wifi_helper serve REQUEST RESULT_FOLDER PROFILES
    python -m provisioning.wifi_helper restore KEPT PROFILES

`serve` takes one request, and after a network was joined waits for the word that it is kept:
without it, it returns by itself. `restore` brings back the network that was kept, at the board's
start, before NetworkManager reads its profiles. Runs as root, so the doorbell's program isn't
trusted: each file of it is opened without following links, is small, and is parsed here, strictly,
by the standard library alone. Only the two profiles of `PROFILES_OF_OURS` are written, activated or
removed. Both are in memory (/run/NetworkManager), so a power cut forgets a trial. Keys go into no
command line, log or result.
"""

import json
import os
import re
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

MAX_REQUEST_BYTES = 2048
MAX_KEPT_BYTES = 16 * 1024
MAX_DETAIL = 300
JOIN_S = 45
KEEP_WITHIN_S = 180.0
"""Longer than the doorbell's own trial of two minutes."""
LOOK_EVERY_S = 0.5
PRIORITY = 50
"""Over networks of the card, which have 0: the one that was kept comes first."""
TRIAL, HOME = PROFILES_OF_OURS = ("doorward-trial", "doorward-home")

Order = Literal["try", "keep", "return"]
State = Literal["joined", "kept", "returned", "refused", "wrong_password", "not_found", "failed"]

_ID = re.compile(r"[a-z2-7]{26}\Z")
_SSID = re.compile(r"(?:[0-9a-f]{2}){1,32}\Z")
_WPA2_KEY = re.compile(r"[0-9a-f]{64}\Z")
_PASSWORD = re.compile(r"[ -~]{8,63}\Z")
_COUNTRY = re.compile(r"(?:[A-Z]{2})?\Z")
_INTERFACE = re.compile(r"[a-zA-Z0-9_.-]{1,15}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Refused(Exception):
    """A request or a file isn't what it must be; nothing was done."""


class CommandFailed(Exception):
    """A program of the system failed; the text is what it said."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that may be joined."""

    ssid: bytes
    key: str = field(repr=False)
    security: Literal["wpa2", "wpa3"]
    country: str
    is_hidden: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the doorbell asks."""

    id: str
    do: Order
    network: Network | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done."""

    state: State
    detail: str = ""
    interface: str = ""


def parse_request(data: bytes) -> Request:
    """Parse a request, or raise Refused."""
    told = _object(data, {"v", "id", "do", "network"})
    if told["v"] != 1 or isinstance(told["v"], bool):
        raise Refused("a request of another version")
    if not _is_text(told["id"], _ID):
        raise Refused("a request without id")
    if told["do"] not in ("try", "keep", "return"):
        raise Refused("a request for something that isn't done here")
    if (told["do"] == "try") != (told["network"] is not None):
        raise Refused("a network belongs to a trial, and to nothing else")
    network = None if told["network"] is None else parse_network(told["network"])
    return Request(id=told["id"], do=told["do"], network=network)


def parse_kept(data: bytes) -> Network | None:
    """Return the network that the doorbell's file keeps, None: there is none; or raise Refused."""
    told = _object(data, {"v", "kept", "trial", "used"})
    if told["v"] != 1 or isinstance(told["v"], bool):
        raise Refused("a file of another version")
    return None if told["kept"] is None else parse_network(told["kept"])


def parse_network(told: Any) -> Network:  # Any: whatever JSON can hold
    """Check a network as it stands in a request, or raise Refused."""
    known = {"ssid", "key", "security", "country", "is_hidden"}
    if not isinstance(told, dict) or set(told) != known:
        raise Refused("a network with other fields")
    if not _is_text(told["ssid"], _SSID):
        raise Refused("a network's name has 1 to 32 bytes, in hexadecimal")
    if told["security"] not in ("wpa2", "wpa3"):
        raise Refused("only WPA2 and WPA3 are joined")
    if not _is_text(told["key"], _WPA2_KEY if told["security"] == "wpa2" else _PASSWORD):
        raise Refused("a key that isn't one")
    if not _is_text(told["country"], _COUNTRY) or not isinstance(told["is_hidden"], bool):
        raise Refused("a country or a mark that isn't one")
    return Network(
        ssid=bytes.fromhex(told["ssid"]),
        key=told["key"],
        security=told["security"],
        country=told["country"],
        is_hidden=told["is_hidden"],
    )


def keyfile(network: Network, *, profile: str, profile_uuid: str, is_kept: bool) -> bytes:
    """Return NetworkManager's keyfile (nm-settings-keyfile(5)).

    The name is a list of bytes, which needs no escapes; in the key, GKeyFile's escapes are undone
    for `\\` and for a space, which would be lost at the beginning.
    """
    key = network.key.replace("\\", "\\\\").replace(" ", "\\s")
    lines = [
        "[connection]",
        f"id={profile}",
        f"uuid={profile_uuid}",
        "type=wifi",
        f"autoconnect={'true' if is_kept else 'false'}",
        *([f"autoconnect-priority={PRIORITY}"] if is_kept else []),
        "",
        "[wifi]",
        "mode=infrastructure",
        "ssid=" + "".join(f"{byte};" for byte in network.ssid),
        *(["hidden=true"] if network.is_hidden else []),
        "",
        "[wifi-security]",
        f"key-mgmt={'sae' if network.security == 'wpa3' else 'wpa-psk'}",
        f"psk={key}",
        "",
        "[ipv4]",
        "method=auto",
        "",
        "[ipv6]",
        "method=auto",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def run_command(argv: Sequence[str]) -> str:
    """Run a program of the system and return its output; CommandFailed with what it said."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, capture_output=True, env=environment, timeout=JOIN_S + 20, text=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed(f"{argv[0]}: {type(error).__name__}") from error
    if done.returncode != 0:
        raise CommandFailed(" ".join(done.stderr.split())[:MAX_DETAIL] or f"{argv[0]} failed")
    return done.stdout


class WifiHelper:
    """Carries out requests with NetworkManager's own command."""

    def __init__(
        self,
        *,
        request: Path,
        result_folder: Path,
        profiles: Path,
        run: Callable[[Sequence[str]], str] = run_command,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._request = request
        self._result_folder = result_folder
        self._profiles = profiles
        self._run = run
        self._monotonic_s = monotonic_s
        self._pause = pause
        self._before: str | None = None

    def serve(self) -> None:
        """Take one request; after a network was joined, those that end its trial."""
        if self._take() != "joined":
            return
        end_s = self._monotonic_s() + KEEP_WITHIN_S
        while self._monotonic_s() < end_s:
            if os.path.lexists(self._request) and self._take(is_on_trial=True) in (
                "kept",
                "returned",
            ):
                return
            self._pause(LOOK_EVERY_S)
        print("nothing was heard from the doorbell: back to the network before", file=sys.stderr)
        self._go_back()

    def _take(self, *, is_on_trial: bool = False) -> State:
        """Read and remove one request, and do it; return what was done."""
        request_id = ""
        try:
            request = parse_request(take_file(self._request, MAX_REQUEST_BYTES))
            request_id = request.id
            outcome = self._do(request, is_on_trial=is_on_trial)
        except Refused as error:
            outcome = Outcome(state="refused", detail=str(error))
        except (CommandFailed, OSError) as error:
            outcome = Outcome(state="failed", detail=str(error)[:MAX_DETAIL])
        print(f"{outcome.state} {outcome.detail}".strip(), file=sys.stderr)
        if request_id:
            self._answer(request_id, outcome)
        return outcome.state

    def _do(self, request: Request, *, is_on_trial: bool) -> Outcome:
        if request.do == "return":
            self._go_back()
            return Outcome(state="returned")
        if request.do == "keep":
            if not is_on_trial:
                raise Refused("no trial is under way")
            return self._keep()
        if is_on_trial or request.network is None:
            raise Refused("a trial is under way")
        return self._try(request.network)

    def _try(self, network: Network) -> Outcome:
        interface = self._radio()
        self._before = self._active_on(interface)
        self._network, self._uuid = network, str(uuid.uuid4())
        self._set_country(network)
        self._write(TRIAL, is_kept=False)
        try:
            self._run(["nmcli", "connection", "reload"])
            self._run(
                ["nmcli", "--wait", str(JOIN_S), "connection", "up", "uuid", self._uuid,
                 "ifname", interface]
            )  # fmt: skip
        except CommandFailed as error:
            self._go_back()
            return Outcome(state=_state_of(str(error)), detail=str(error)[:MAX_DETAIL])
        return Outcome(state="joined", interface=interface)

    def _keep(self) -> Outcome:
        """Make the trial's profile the one that is kept, under the same UUID: it stays active."""
        self._write(HOME, is_kept=True)
        self._path_of(TRIAL).unlink(missing_ok=True)
        self._run(["nmcli", "connection", "reload"])
        return Outcome(state="kept")

    def _go_back(self) -> None:
        """Forget the trial's profile, which leaves its network, and activate the one before.

        Without one that is known, NetworkManager chooses among those that connect by themselves.
        """
        self._path_of(TRIAL).unlink(missing_ok=True)
        self._run(["nmcli", "connection", "reload"])
        if self._before is None:
            return
        try:
            self._run(["nmcli", "--wait", "0", "connection", "up", "uuid", self._before])
        except CommandFailed as error:  # it is out of reach just now: it connects by itself later
            print(f"the network before doesn't connect at once: {error}", file=sys.stderr)

    def _radio(self) -> str:
        for line in self._run(["nmcli", "-t", "-f", "DEVICE,TYPE", "device"]).splitlines():
            name, _, kind = line.partition(":")
            if kind == "wifi" and _INTERFACE.match(name):
                return name
        raise CommandFailed("this board has no Wi-Fi, or it is switched off")

    def _active_on(self, interface: str) -> str | None:
        told = self._run(["nmcli", "-t", "-f", "UUID,DEVICE", "connection", "show", "--active"])
        for line in told.splitlines():
            found, _, device = line.partition(":")
            if device == interface and _UUID.match(found):
                return found
        return None

    def _set_country(self, network: Network) -> None:
        if not network.country:
            return
        try:
            self._run(["iw", "reg", "set", network.country])
        except CommandFailed as error:
            print(f"the country stays as it is: {error}", file=sys.stderr)

    def _write(self, profile: str, *, is_kept: bool) -> None:
        data = keyfile(self._network, profile=profile, profile_uuid=self._uuid, is_kept=is_kept)
        write_new(self._path_of(profile), data, 0o600)

    def _path_of(self, profile: str) -> Path:
        return self._profiles / f"{profile}.nmconnection"

    def _answer(self, request_id: str, outcome: Outcome) -> None:
        told = {
            "v": 1,
            "id": request_id,
            "state": outcome.state,
            "detail": outcome.detail,
            "interface": outcome.interface,
        }
        write_new(self._result_folder / "result.json", json.dumps(told).encode(), 0o644)


def restore(kept: Path, profiles: Path) -> bool:
    """Write the profile of the network that the doorbell keeps; return whether there is one."""
    try:
        network = parse_kept(read_file(kept, MAX_KEPT_BYTES))
    except FileNotFoundError:
        return False
    if network is None:
        return False
    profiles.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = keyfile(network, profile=HOME, profile_uuid=str(uuid.uuid4()), is_kept=True)
    write_new(profiles / f"{HOME}.nmconnection", data, 0o600)
    return True


def take_file(path: Path, max_bytes: int) -> bytes:
    """Read a file that another user wrote, and remove it, whatever it is; or raise Refused."""
    try:
        return read_file(path, max_bytes)
    except FileNotFoundError as error:
        raise Refused("there is no request") from error
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a small plain file that another user wrote; Refused if it is anything else."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{path.name} can't be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path.name} is no plain file")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Refused(f"{path.name} is longer than {max_bytes} bytes")
    return data


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Replace a file in a folder of root's own."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, mode)
    beside.replace(path)


def _object(data: bytes, known: set[str]) -> dict[str, Any]:
    try:
        told = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error
    if not isinstance(told, dict) or set(told) != known:
        raise Refused("other fields than those that belong here")
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise ValueError("a field twice")
    return told


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _is_text(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _state_of(said: str) -> State:
    """Return what NetworkManager's reason comes to (nmcli's texts under LC_ALL=C)."""
    text = said.lower()
    if "secrets were required" in text or "supplicant" in text:
        return "wrong_password"
    return "not_found" if "network could not be found" in text else "failed"


def main(argv: Sequence[str]) -> int:
    """Run one of the two commands; the exit code."""
    match argv:
        case ["serve", request, result_folder, profiles]:
            WifiHelper(
                request=Path(request), result_folder=Path(result_folder), profiles=Path(profiles)
            ).serve()
        case ["restore", kept, profiles]:
            try:
                restore(Path(kept), Path(profiles))
            except Refused as error:
                print(f"the card's own network is used: {error}", file=sys.stderr)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
