"""The object store's other ports: a process on its machine that hasn't the store's keys."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from relay.cli.check import _look_around
from relay.cli.store_keys import OWN_PORTS, WHAT, OwnPorts, check_store_keys
from relay.config.settings import Config
from relay.store.objects import ObjectStore
from tests.fakes.waiting import PATIENCE_S
from tests.relay.servers import BIN, run_object_store, store_ports

KEY = "packages/sealed"
PATH = f"/buckets/evidence/{KEY}"
SEALED = b"sealed bytes" * 100
SHELL_S = 4
"""So long `weed shell` tries to get in, which takes it under a second where it may."""

REQUESTS = [
    ("filer.port", "GET", "/buckets/evidence/?limit=10"),
    ("filer.port", "GET", PATH),
    ("filer.port", "PUT", "/buckets/evidence/packages/mine"),
    ("filer.port", "DELETE", PATH),
    ("filer.port", "DELETE", "/buckets/evidence?recursive=true"),
    ("master.port", "GET", "/dir/status"),
    ("master.port", "GET", "/dir/assign"),
    ("master.port", "GET", "/col/delete?collection=evidence"),
    ("volume.port", "GET", "/1,0100000000"),
    ("volume.port", "DELETE", "/1,0100000000"),
    ("admin.port", "GET", "/"),
    ("s3.port", "GET", "/evidence?list-type=2"),
]


def own_ports(config: Config) -> dict[str, OwnPorts]:
    ports = store_ports(config)
    return {
        server: OwnPorts(ports[f"{server}.port"], ports[f"{server}.port.grpc"])
        for server in OWN_PORTS
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with run_object_store(tmp_path_factory.mktemp("weed")) as config:
        yield config


@pytest.fixture
async def objects(store: Config) -> ObjectStore:
    objects = ObjectStore(store.bucket)
    await objects.ensure_bucket("http://relay.test")
    await objects.put_new(KEY, SEALED, content_type="application/octet-stream")
    return objects


@pytest.mark.parametrize(("server", "method", "path"), REQUESTS)
async def test_no_port_lists_writes_or_deletes(
    store: Config, objects: ObjectStore, server: str, method: str, path: str
) -> None:
    # Seen to fail (200 with the list, 201, 204) without -disableHttp and -config_dir.
    url = f"http://127.0.0.1:{store_ports(store)[server]}{path}"
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as process:
        answer = await process.request(method, url, content=b"mine" if method == "PUT" else None)
    assert answer.status_code in (401, 403, 404)
    assert await objects.get(KEY, max_bytes=10_000) == SEALED


async def test_the_stores_own_shell_gets_in_nowhere(
    store: Config, objects: ObjectStore, tmp_path: Path
) -> None:
    # Seen to fail (it lists and deletes the package) without -config_dir, with -disableHttp.
    ports = store_ports(store)
    master = f"127.0.0.1:{ports['master.port']}.{ports['master.port.grpc']}"
    filer = f"127.0.0.1:{ports['filer.port']}.{ports['filer.port.grpc']}"
    shell = await asyncio.create_subprocess_exec(
        *(BIN / "weed", "shell", f"-master={master}", f"-filer={filer}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f"lock\nfs.ls /buckets/evidence/packages\nfs.rm {PATH}\nexit\n".encode())
    shell.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(SHELL_S):
            await shell.wait()
    if shell.returncode is None:
        shell.kill()
    done = await shell.stdout.read()
    await shell.wait()
    assert b"sealed" not in done
    assert await objects.get(KEY, max_bytes=10_000) == SEALED


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("-config_dir", "its filer speaks gRPC without TLS at 127.0.0.1:"),
        ("-disableHttp", "its master answers at http://127.0.0.1:"),
        ("-s3.config", "/evidence?list-type=2&max-keys=1 answers 200 with no signature"),
    ],
)
def test_check_says_which_keys_a_store_was_started_without(
    tmp_path: Path, without: str, said: str
) -> None:
    """The relay works just as well with such a store. Each was seen to fail without its look."""
    with run_object_store(tmp_path, without=without) as config:
        asyncio.run(ObjectStore(config.bucket).ensure_bucket("http://relay.test"))
        found = asyncio.run(check_store_keys(config.bucket, own_ports(config)))
        if without == "-s3.config":
            whole = asyncio.run(_look_around(config))
            assert [one for one in whole if one.what == WHAT and not one.is_ok] == [found]
    assert found is not None
    assert not found.is_ok
    assert said in found.detail
    assert "Start it with its s3.json and security.toml and -disableHttp" in found.detail


async def test_check_finds_nothing_open_in_a_store_with_its_keys(
    store: Config, objects: ObjectStore
) -> None:
    assert objects is not None
    found = await check_store_keys(store.bucket, own_ports(store))
    assert found is not None
    assert found.is_ok, found.detail
    away = replace(store.bucket, endpoint="http://127.0.0.1:9")
    assert await check_store_keys(away, own_ports(store)) is None  # `bucket` says that


def test_what_lets_the_store_in_is_its_owners_alone(store: Config) -> None:
    for name in ("security.toml", "store.key", "store.pem", "s3.json"):
        assert (store.data_dir / name).stat().st_mode & 0o077 == 0, name
    text = (store.data_dir / "security.toml").read_text()
    keys = [line for line in text.splitlines() if line.startswith("key = ") and "store" not in line]
    assert len(keys) == len(set(keys)) == 4
