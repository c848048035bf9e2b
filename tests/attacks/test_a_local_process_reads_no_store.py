"""The object store's other ports: a process on its machine that hasn't the store's keys."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from relay.config.settings import Config
from relay.store.objects import ObjectStore
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
    async with httpx2.AsyncClient(trust_env=False) as process:
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


def test_what_lets_the_store_in_is_its_owners_alone(store: Config) -> None:
    for name in ("security.toml", "store.key", "store.pem", "s3.json"):
        assert (store.data_dir / name).stat().st_mode & 0o077 == 0, name
    text = (store.data_dir / "security.toml").read_text()
    keys = [line for line in text.splitlines() if line.startswith("key = ") and "store" not in line]
    assert len(keys) == len(set(keys)) == 4
