"""Debian packages that the doorbell needs and the system may lack.

What the bundle carries is installed by dpkg. What is still missing is asked of Debian's own
archives if these answer; if they don't, its names are returned: most doorbells work without.
"""

from collections.abc import Sequence

from provisioning.first_boot.bundle import DebianPackage
from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import Host

DPKG_S, APT_S, UPDATE_S = 900.0, 1800.0, 120.0
APT = (
    "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "Acquire::Retries=1",
    "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15",
    "-o", "DPkg::Lock::Timeout=120",
)  # fmt: skip


def install_packages(host: Host, packages: Sequence[DebianPackage], unpacked: str) -> list[str]:
    """Install what is missing; return the names of what couldn't be."""
    missing = [package for package in packages if not _is_installed(host, package.name)]
    carried = [str(host.path(f"{unpacked}/{p.file}")) for p in missing if p.file is not None]
    if carried:
        # A dpkg that the power cut off is taken up again first.
        host.run("dpkg", "--force-confold", "--configure", "--pending", timeout_s=DPKG_S)
        host.run("dpkg", "--force-confold", "--install", *carried, timeout_s=DPKG_S)
    names = [package.name for package in missing if not _is_installed(host, package.name)]
    if not names:
        return []
    try:
        host.run(*APT, "update", timeout_s=UPDATE_S)
        host.run(*APT, "install", "--no-install-recommends", *names, timeout_s=APT_S)
    except CommandFailed:
        return [name for name in names if not _is_installed(host, name)]
    return []


def _is_installed(host: Host, name: str) -> bool:
    try:
        status = host.run("dpkg-query", "--show", "--showformat=${db:Status-Status}", name)
    except CommandFailed:
        return False
    return status.strip() == b"installed"
