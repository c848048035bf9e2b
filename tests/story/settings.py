"""Where the story keeps its data and on which ports its servers listen.

Ports are remembered in the data folder, because its keys and addresses are made for them. Nothing
is started here.
"""

import argparse
import fcntl
import json
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path

from tests.fakes.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_SLOT = "10s"
"""Long enough that a demo which is left running doesn't fill the disk with slots."""
DEMO_VISIT_EACH_S = 180
MAX_DATA_PATH_BYTES = 80
"""Unix sockets lie in the data folder, and their paths may be 107 bytes long."""


class StoryError(Exception):
    """The story can't begin or go on; the text says what to do about it."""


class BadSetting(StoryError):
    """A setting can't be used; nothing was touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports that people and programs are told of; each is a setting `--NAME-port`."""

    relay: int = 8400
    app: int = 8401
    door: int = 8402
    mqtt: int = 8403
    nats: int = 8404
    s3: int = 8405
    witness1: int = 8406
    witness2: int = 8407
    witness3: int = 8408

    @property
    def witnesses(self) -> tuple[int, ...]:
        """Where the three witnesses of the public logs listen."""
        return self.witness1, self.witness2, self.witness3


PORT_NAMES = tuple(port.name for port in fields(Ports))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One start of the story."""

    data_dir: Path
    ports: Ports
    video: Path | None
    is_once: bool
    is_json: bool
    has_real_delays: bool = False
    """Whether things take as long here as anywhere, and the clock is wound; else they are short."""
    is_empty: bool = False
    """Whether the town begins without agency, owner and example data."""
    slot: str = "2s"
    """As everywhere it would be ten minutes, but owners needn't wait for each slot."""
    has_six_weeks: bool = False
    """Whether six weeks of the neighbourhood's life lie behind the town."""
    has_sound: bool = False
    """Whether the doorbell plays into a file: a chime at a press, and quick replies."""
    visit_each_s: int = 24
    """How often somebody comes to the rendered porch."""

    @property
    def relay_url(self) -> str:
        """The relay: its public and agency pages, and the owner's API."""
        return f"http://localhost:{self.ports.relay}"

    @property
    def app_url(self) -> str:
        """The owner's app, on an origin of its own."""
        return f"http://localhost:{self.ports.app}"

    @property
    def door_url(self) -> str:
        """The doorbell's own page."""
        return f"http://localhost:{self.ports.door}"

    @property
    def relay_dir(self) -> Path:
        """The relay's folder, made by `doorward-relay init`."""
        return self.data_dir / "relay"

    @property
    def relay_toml(self) -> Path:
        """The relay's configuration."""
        return self.relay_dir / "relay.toml"

    @property
    def doorbell_dir(self) -> Path:
        """What would be the doorbell's card."""
        return self.data_dir / "doorbell"

    @property
    def policy(self) -> Path:
        """Whom to believe about the public logs: on the doorbell's card, and at the agency's."""
        return self.data_dir / "policy.txt"

    @property
    def town_clock(self) -> Path:
        """By how much the town's clock is wound ahead; everybody in it reads this."""
        return self.data_dir / "town-clock.json"

    def witness_dir(self, number: int) -> Path:
        """The folder of one of the three witnesses, counted from 1."""
        return self.data_dir / "witnesses" / str(number)

    @property
    def agency_key(self) -> Path:
        """The agency's key file, which opens evidence and certifies officers."""
        return self.data_dir / "agency" / "agency-key.json"

    @property
    def map_dir(self) -> Path:
        """The town's streets and place names, for the relay's maps."""
        return self.data_dir / "map"

    @property
    def people_dir(self) -> Path:
        """What the people keep: passkeys, keys, the door number."""
        return self.data_dir / "people"


def parse_settings(arguments: list[str]) -> Settings:
    """Read the command line; raise BadSetting for a value that can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.story",
        description="Plays Doorward's whole story on this machine, then stays up to look around.",
    )
    parser.add_argument("--once", action="store_true", help="play the story once and exit")
    parser.add_argument(
        "--empty", action="store_true", help="begin without an agency, an owner and example data"
    )
    weeks = parser.add_mutually_exclusive_group()
    weeks.add_argument(
        "--six-weeks",
        action="store_true",
        help="with --once too: begin with six weeks of requests, posts, thefts and credits",
    )
    weeks.add_argument(
        "--quick", action="store_true", help="without --once too: begin without these six weeks"
    )
    parser.add_argument("--json", action="store_true", help="end with the steps as JSON on stdout")
    parser.add_argument(
        "--data", type=Path, default=REPOSITORY / "demo-data", help="folder for all data"
    )
    parser.add_argument("--video", type=Path, help="play this file as the doorbell's camera")
    for name in PORT_NAMES:
        parser.add_argument(f"--{name}-port", type=int, metavar="N")
    given = parser.parse_args(arguments)
    data_dir = given.data.resolve()
    if len(bytes(data_dir)) > MAX_DATA_PATH_BYTES:
        raise BadSetting(
            f"--data {data_dir}: longer than {MAX_DATA_PATH_BYTES} bytes, choose a shorter path"
        )
    if given.video is not None and not given.video.is_file():
        raise BadSetting(f"--video {given.video}: there is no such file")
    chosen = {name: getattr(given, f"{name}_port") for name in PORT_NAMES}
    return Settings(
        data_dir=data_dir,
        ports=_ports(data_dir, {name: port for name, port in chosen.items() if port is not None}),
        video=given.video.resolve() if given.video else None,
        is_once=given.once,
        is_json=given.json,
        has_real_delays=True,
        is_empty=given.empty,
        slot=DEMO_SLOT,
        has_six_weeks=given.six_weeks or not (given.quick or given.once),
        has_sound=True,
        visit_each_s=DEMO_VISIT_EACH_S,
    )


def remember_ports(settings: Settings) -> None:
    """Write the ports down for the next start."""
    path = settings.data_dir / "ports.json"
    path.write_text(json.dumps(asdict(settings.ports), indent=1) + "\n")


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; a second story on it is refused before it touches anything."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadSetting(
                f"--data {data_dir}: another demo is running on this folder; "
                "stop it (Ctrl-C), or give another folder"
            ) from error
        yield


def check_ports_are_free(ports: Ports) -> None:
    """Raise BadSetting naming the setting of the first port that somebody uses."""
    for name, number in asdict(ports).items():
        if not is_port_free(number):
            raise BadSetting(
                f"--{name}-port {number}: this port is in use; "
                f"stop what uses it, or give another, such as --{name}-port {number + 100}"
            )


def is_port_free(number: int) -> bool:
    """Tell whether 127.0.0.1:`number` can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def free_ports(count: int, *, besides: Collection[int] = ()) -> list[int]:
    """Return ports that nobody uses at this moment, and that aren't meant for something else."""
    ports = (port for port in iter(free_port, None) if port not in besides)
    return list(islice(ports, count))


def has_only_loopback() -> bool:
    """Tell whether no interface but loopback has a route (as in `unshare -n`)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nothing is sent by connecting
        except OSError:
            return True
        return str(probe.getsockname()[0]).startswith("127.")


def _ports(data_dir: Path, given: dict[str, int]) -> Ports:
    for name, number in given.items():
        if not 1 <= number <= 65535:
            raise BadSetting(f"--{name}-port {number}: expected a port from 1 to 65535")
    file = data_dir / "ports.json"
    remembered = json.loads(file.read_text()) if file.exists() else {}
    for name, number in given.items():
        if remembered.get(name, number) != number:
            raise BadSetting(
                f"--{name}-port {number}: the data in {data_dir} was made for port "
                f"{remembered[name]}; give that one, or another --data"
            )
    return Ports(**{**remembered, **given})
