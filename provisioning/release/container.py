"""The relay's OCI image: Debian's Python, the locked wheels and Doorward's own, without a daemon.

mmdebstrap makes the one layer of Debian's packages and what pip unpacks; umoci writes the image.
Both are the maker's own programs, of Debian. The image's program is `doorward-relay`, as a user
without rights; what it keeps lies on the volume DATA. Nothing of it is listed for a bundle: who
makes one makes it for themselves (docs/decisions/0100-a-container-of-the-relay.md).

Source: OCI image format, https://github.com/opencontainers/image-spec.
"""

import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from provisioning.release.wheels import (
    Board,
    Checkout,
    build_wheels,
    fetch_wheels,
    pip_command,
    platform_options,
    requirements_text,
    run,
)

MIRRORS = ("http://deb.debian.org/debian", "http://deb.debian.org/debian-security")
SUITE = "trixie"
PACKAGES = ("ca-certificates", "libstdc++6", "python3")
EXTRAS = ("postgresql",)
SOURCES_ONLY = ("nkeys",)
"""Locked packages without a wheel; they have no compiled part."""
NAME = "doorward-relay"
"""What podman and docker call the image once they have loaded it, with the version as its tag."""
CODE, DATA = "/opt/doorward", "/var/lib/doorward"
USER = 64000
PORT = 8400
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}
NOT_INSTALLED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def make_container(
    checkout: Checkout, board: Board, out: Path, *, mirrors: Sequence[str] = MIRRORS
) -> None:
    """Write an OCI image layout as a tar; raise ReleaseRefused. Takes a minute, and needs root.

    Another architecture than this machine's needs Debian's qemu-user-binfmt.
    """
    made_s = checkout.made_ms() // 1000
    environment = {"SOURCE_DATE_EPOCH": str(made_s)}
    created = datetime.fromtimestamp(made_s, UTC).isoformat()
    architecture = ARCHITECTURES[board.machine]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        code = _install(checkout, board, folder)
        root = folder / "root.tar"
        print("installing Debian's packages", file=sys.stderr)
        run(_debian(code, root, architecture, mirrors), environment=environment)
        layout = folder / "layout"
        image = f"{layout}:{NAME}:{checkout.version}"
        run(["umoci", "init", "--layout", str(layout)])
        run(["umoci", "new", "--image", image])
        run(["umoci", "raw", "add-layer", "--image", image, str(root)], environment=environment)
        run(["umoci", "config", "--image", image, *_settings(checkout, architecture, created)])
        run(["umoci", "gc", "--layout", str(layout)])
        with tarfile.open(out, "x") as tar:
            tar.add(layout, arcname=".")


def _install(checkout: Checkout, board: Board, folder: Path) -> Path:
    """Unpack the wheels for the image's Python into a folder, and return it."""
    wheels_folder, code = folder / "wheels", folder / "doorward"
    wheels_folder.mkdir()
    requirements = checkout.requirements(board, EXTRAS, of="relay")
    print(f"fetching {len(requirements)} wheels for {board.machine}", file=sys.stderr)
    sources = [one for one in requirements if one.name in SOURCES_ONLY]
    wheels = fetch_wheels([one for one in requirements if one not in sources], board, wheels_folder)
    wheels += [*build_wheels(sources, wheels_folder), checkout.build(wheels_folder)]
    lock = folder / "requirements.txt"
    lock.write_text(requirements_text(wheels), "utf-8")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--require-hashes")
    places = ("--find-links", str(wheels_folder), "--requirement", str(lock), "--target", str(code))
    run(
        pip_command(
            *("install", *options, "--only-binary", ":all:"), *platform_options(board), *places
        )
    )
    return code


def _debian(code: Path, out: Path, architecture: str, mirrors: Sequence[str]) -> list[str]:
    """Return the command that makes the layer: Debian's packages, and the code compiled there."""
    main, security = mirrors
    hooks = (
        f'mkdir -p "$1{CODE}" "$1{DATA}"',
        f'cp --recursive "{code}/." "$1{CODE}"',
        f'chown --recursive 0:0 "$1{CODE}"',
        f'chown {USER}:{USER} "$1{DATA}" && chmod 700 "$1{DATA}"',
        f'rm -rf "$1{CODE}/bin"',  # scripts that name the maker's Python
        f'chroot "$1" python3 -m compileall -q {CODE}',
        f'echo "doorward:x:{USER}:{USER}:Doorward:{DATA}:/usr/sbin/nologin" >> "$1/etc/passwd"',
        f'echo "doorward:x:{USER}:" >> "$1/etc/group"',
    )
    return [
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--format=tar"),
        *(f"--architectures={architecture}", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={path}" for path in NOT_INSTALLED),
        *(f"--customize-hook={hook}" for hook in hooks),
        *(SUITE, str(out)),
        f"deb {main} {SUITE} main",
        f"deb {main} {SUITE}-updates main",
        f"deb {security} {SUITE}-security main",
    ]


def _settings(checkout: Checkout, architecture: str, created: str) -> list[str]:
    labels = {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": checkout.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": CODE,
        "PYTHONSAFEPATH": "1",  # nothing of the volume is imported
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = ("/usr/bin/python3", "-m", "relay")
    command = ("serve", "--config", f"{DATA}/relay.toml", "--log-format", "json")
    return [
        *(f"--config.entrypoint={word}" for word in words),
        *(f"--config.cmd={word}" for word in command),
        *(f"--config.env={name}={value}" for name, value in environment.items()),
        *(f"--config.label={name}={value}" for name, value in labels.items()),
        f"--config.user={USER}:{USER}",
        f"--config.workingdir={DATA}",
        f"--config.volume={DATA}",
        f"--config.exposedports={PORT}/tcp",
        "--config.stopsignal=SIGTERM",
        f"--architecture={architecture}",
        "--os=linux",
        f"--created={created}",
        "--history.created_by=doorward-release container",
        f"--history.created={created}",
    ]
