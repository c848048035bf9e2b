"""Step "user": the locked system user that the doorbell runs as, and its groups."""

from provisioning.first_boot.host import Host
from provisioning.first_boot.places import STATE, USER

GROUPS = ("video", "gpio", "render", "audio")
"""Those of doorward.service; on a system that isn't a Pi's some are missing and are made."""


class ServiceUser:
    """The step."""

    name = "user"

    def is_done(self, host: Host) -> bool:
        """Return whether the user is there, in all groups."""
        return is_user(host, USER) and all(USER in _members(host, group) for group in GROUPS)

    def do(self, host: Host) -> None:
        """Make the user and the groups."""
        for group in GROUPS:
            if not _has(host, "/etc/group", group):
                host.run("groupadd", "--system", group)
        if not is_user(host, USER):
            host.run(
                "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", STATE,
                "--shell", "/usr/sbin/nologin", USER,
            )  # fmt: skip
        host.run("install", "-d", "-m", "0700", "-o", USER, "-g", USER, STATE)
        # A card that was flashed anew has its recordings: of a user that may have had another id.
        host.run("chown", "--recursive", "--no-dereference", f"{USER}:{USER}", STATE)
        # Last: membership is what `is_done` looks at.
        host.run("usermod", "--append", "--groups", ",".join(GROUPS), USER)


def is_user(host: Host, name: str) -> bool:
    """Return whether the machine has a user of this name."""
    return _has(host, "/etc/passwd", name)


def _has(host: Host, path: str, name: str) -> bool:
    return any(line.split(":")[0] == name for line in _lines(host, path))


def _members(host: Host, group: str) -> list[str]:
    for line in _lines(host, "/etc/group"):
        fields = line.split(":")
        if fields[0] == group and len(fields) == 4:
            return fields[3].split(",")
    return []


def _lines(host: Host, path: str) -> list[str]:
    return (host.read(path) or b"").decode(errors="replace").splitlines()
