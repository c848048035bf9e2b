"""Remote login by SSH: off unless an invitation brings a public key, and then by that key alone."""

from provisioning.first_boot.host import Host
from provisioning.first_boot.users import is_user

ADMIN = "doorward-admin"
HOME = f"/home/{ADMIN}"
KEYS = f"{HOME}/.ssh/authorized_keys"
SUDOERS = f"/etc/sudoers.d/{ADMIN}"
SSHD = "/etc/ssh/sshd_config.d/10-doorward.conf"


def allow_login(host: Host, key: str) -> None:
    """Make a locked user with sudo, who logs in by this key, and start the SSH server."""
    if not is_user(host, ADMIN):
        host.run("useradd", "--create-home", "--shell", "/bin/bash", ADMIN)
    host.write(KEYS, key.strip().encode() + b"\n", 0o600)
    host.run("chmod", "700", f"{HOME}/.ssh")
    host.run("chown", "-R", f"{ADMIN}:", f"{HOME}/.ssh")
    host.write(SUDOERS, f"{ADMIN} ALL=(ALL) NOPASSWD:ALL\n".encode(), 0o440)
    host.write(SSHD, b"PasswordAuthentication no\nPermitRootLogin no\n")
    host.run("systemctl", "enable", "--now", "ssh")
