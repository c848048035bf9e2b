"""What booting needs, or why it can't be tried here."""

import os
import shutil

import pytest

from tests.boot.base_image import BaseImage, base_image
from tests.boot.bundle import SignedBundle, signed_bundle
from tests.boot.programs import Unavailable

PROGRAMS = ("qemu-system-x86_64", "mmdebstrap", "mcopy", "mkfs.vfat", "sfdisk", "mke2fs")


@pytest.fixture(scope="session")
def base() -> BaseImage:
    """Return the image that is flashed."""
    if os.geteuid() != 0:
        pytest.skip("booting needs root: mmdebstrap makes a root file system")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"booting needs {', '.join(missing)}")
    try:
        return base_image()
    except Unavailable as error:
        pytest.skip(f"no root file system can be made here: {error}")


@pytest.fixture(scope="session")
def bundle() -> SignedBundle:
    """Return what a first boot installs."""
    try:
        return signed_bundle()
    except Unavailable as error:
        pytest.skip(f"no bundle can be made here: {error}")
