"""The relay's OCI image, made here and run by runc: `init`, then `serve` beside a real broker."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest

from provisioning.release.__main__ import main
from provisioning.release.container import CODE, DATA, USER
from relay.config.loader import load
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S
from tests.relay.servers import Broker

ROOT = Path(__file__).parents[2]
PROGRAMS = ("mmdebstrap", "umoci", "runc")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the image and unpack it into what runc reads."""
    if os.geteuid() != 0:
        pytest.skip("an image is made as root")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"making and running an image needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("container")
    assert main(["container", "--out", str(folder / "relay.tar"), "--root", str(ROOT)]) == 0
    layout = folder / "layout"
    with tarfile.open(folder / "relay.tar") as tar:
        tar.extractall(layout, filter="data")
    (folder / "relay.tar").unlink()
    (named,) = json.loads((layout / "index.json").read_text())["manifests"]
    name = named["annotations"]["org.opencontainers.image.ref.name"]
    assert re.fullmatch(r"doorward-relay:\d+\.\d+\.\d+", name)  # what podman load says
    image = f"{layout}:{name}"
    subprocess.run(["umoci", "unpack", "--image", image, folder / "bundle"], check=True)
    shutil.rmtree(layout)
    return folder / "bundle"


def start(bundle: Path, name: str, data: Path, words: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the image's program, read-only but for its data, on this machine's own network."""
    config = json.loads((bundle / "config.json").read_text())
    process = config["process"]
    process["terminal"] = False
    process["capabilities"] = {kind: [] for kind in process["capabilities"]}
    if words:
        process["args"] = [*process["args"][:3], *words]
    config["root"]["readonly"] = True
    spaces = config["linux"]["namespaces"]
    config["linux"]["namespaces"] = [one for one in spaces if one["type"] != "network"]
    kept = {"destination": DATA, "type": "bind", "source": str(data), "options": ["bind", "rw"]}
    config["mounts"] = [one for one in config["mounts"] if one["destination"] != DATA] + [kept]
    own = bundle / name
    own.mkdir()
    config["root"]["path"] = str(bundle / "rootfs")
    (own / "config.json").write_text(json.dumps(config))
    return subprocess.Popen(
        ["runc", "run", "--bundle", own, name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answer(url: str) -> int:
    """Return the first answer's status."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return httpx2.get(url, timeout=PATIENCE_S).status_code
        except httpx2.TransportError:
            assert time.monotonic() < end, f"{url} doesn't answer"
            time.sleep(0.2)


def test_a_relay_begins_and_serves_in_its_container(bundle: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    name = f"doorward-{os.getpid()}"
    ports = {option: free_port() for option in ("listen", "mqtt-port", "nats-port", "s3-port")}
    options = [f"--{option}={port}" for option, port in ports.items() if option != "listen"]
    listen, url = f"127.0.0.1:{ports['listen']}", f"http://localhost:{ports['listen']}"
    words = ["init", "--data", DATA, f"--listen={listen}", f"--public-url={url}", *options]
    began = start(bundle, f"{name}-init", data, words)
    said, _ = began.communicate(timeout=10 * PATIENCE_S)
    assert began.returncode == 0, said
    assert (data / "relay.toml").stat().st_uid == USER

    broker = Broker(load(_as_seen_outside(data)))
    broker.start()
    served = start(bundle, f"{name}-serve", data)
    try:
        # Without an object store: the relay says which part is away, and serves.
        assert answer(f"{url}/healthz") == 503
        assert answer(f"{url}/") == 200
        ends = time.monotonic() + PATIENCE_S
        while answer(f"{url}/readyz") != 200:
            assert time.monotonic() < ends
            time.sleep(0.2)
    finally:
        subprocess.run(["runc", "kill", f"{name}-serve", "TERM"], check=False)
        said, _ = served.communicate(timeout=PATIENCE_S)
        broker.stop()
    assert served.returncode == 0, said
    assert "GET /readyz 200" in said


def test_the_image_holds_no_program_of_its_maker(bundle: Path) -> None:
    """Its code belongs to root, is compiled for its own Python, and names nobody's folders."""
    code = bundle / "rootfs" / CODE.lstrip("/")
    assert not (code / "bin").exists()
    assert code.stat().st_uid == 0
    assert (code / "relay/__pycache__").is_dir()
    assert all("cpython-313" in one.name for one in (code / "relay/__pycache__").iterdir())
    assert str(ROOT).encode() not in b"".join(
        path.read_bytes() for path in (code / "relay").rglob("*.pyc")
    )


def _as_seen_outside(data: Path) -> Path:
    """Rewrite the paths of the volume in the broker's file: it runs beside the container."""
    for path in data.glob("*.conf"):
        path.write_text(path.read_text().replace(DATA, str(data)))
    config = data / "relay.toml"
    outside = data / "outside.toml"
    outside.write_text(config.read_text().replace(DATA, str(data)))
    return outside
