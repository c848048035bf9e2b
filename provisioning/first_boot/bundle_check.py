"""Step "bundle": the card's bundle is signed, whole and for this machine."""

import sys
import sysconfig

from provisioning.first_boot.bundle import (
    MAX_SIGNERS_BYTES,
    Bundle,
    BundleRefused,
    check_files,
    made_ms_unverified,
    open_bundle,
    open_note,
    parse_signers,
    read_note,
)
from provisioning.first_boot.errors import StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import BUNDLE, CURRENT, SIGNERS

INSTALLED_NOTE = f"{CURRENT}/bundle.note"
"""The note of the bundle that was installed: what `install` puts there last."""


class BundleCheck:
    """The step; it keeps what it found for the steps behind it."""

    name = "bundle"

    def __init__(self, target: str) -> None:
        self._target = target
        self._bundle: Bundle | None = None

    @property
    def bundle(self) -> Bundle | None:
        """The verified bundle; None if what is installed is of this bundle already."""
        return self._bundle

    def is_done(self, host: Host) -> bool:
        """Return whether it was checked, or is installed."""
        return self._bundle is not None or is_installed(host)

    def do(self, host: Host) -> None:
        """Verify signatures, sizes, digests and target."""
        try:
            self._bundle = self._checked(host)
        except BundleRefused as error:
            raise StepFailed(error.code, str(error), will_retry=False) from error

    def _checked(self, host: Host) -> Bundle:
        data = host.read(SIGNERS, max_bytes=MAX_SIGNERS_BYTES)
        if data is None:
            raise BundleRefused("bundle_signers", "doorward/signers.txt isn't there")
        signers = parse_signers(data)
        with open_bundle(host, BUNDLE) as archive:
            bundle = open_note(host, read_note(archive), signers)
            if bundle.target != self._target:
                raise BundleRefused(
                    "bundle_target",
                    f"it is for {bundle.target}, and this machine is {self._target}",
                )
            if bundle.made_ms < made_ms_unverified(host.read(INSTALLED_NOTE) or b""):
                raise BundleRefused("bundle_older", f"{bundle.version} was made before it")
            check_files(archive, bundle)
        return bundle


def is_installed(host: Host) -> bool:
    """Return whether the card has no bundle but the one that is installed."""
    installed = host.read(INSTALLED_NOTE)
    if installed is None:
        return False
    if not host.exists(BUNDLE):
        return True
    try:
        with open_bundle(host, BUNDLE) as archive:
            return read_note(archive) == installed
    except BundleRefused:
        return False


def machine_target() -> str:
    """Return what this machine's Python can run, as bundles name it: `aarch64-cp313`."""
    kind = sysconfig.get_platform().removeprefix("linux-")
    if sys.maxsize < 2**32:
        kind = "32-bit"
    return f"{kind}-cp{sys.version_info.major}{sys.version_info.minor}"
