"""The files of docs/examples/cluster: systemd and HAProxy understand them; units stay closed."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from relay.backup.owned_files import last_backup_ms, note_backup
from relay.fleet.ca import key_pem, pem_of
from tests.cluster.servers import EXAMPLES, RELAYS, haproxy_here
from tests.relay.servers import new_relay

README = (EXAMPLES / "README.md").read_text()
UNITS = ("doorward-relay.service", "doorward-nats.service")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (apt: systemd)"
)
needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is missing (apt)"
)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_a_unit_with_its_drop_in(unit: str, tmp_path: Path) -> None:
    programs = r"/opt/doorward/bin/[a-z-]+"
    text = re.sub(programs, "/bin/true", (EXAMPLES.parent / unit).read_text())
    (tmp_path / unit).write_text(text)
    own = tmp_path / f"{unit}.d"
    own.mkdir()
    for path in (EXAMPLES / f"{unit}.d").iterdir():
        (own / path.name).write_text(re.sub(programs, "/bin/true", path.read_text()))
    for words in (("verify", "--man=no"), ("security", "--offline=true", "--threshold=12")):
        done = subprocess.run(
            ["systemd-analyze", *words, "--no-pager", str(tmp_path / unit)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@needs_systemd
def test_a_drop_in_that_opens_a_unit_is_noticed(tmp_path: Path) -> None:
    """What systemd judges is the unit with its drop-in."""
    (tmp_path / UNITS[0]).write_text((EXAMPLES.parent / UNITS[0]).read_text())
    own = tmp_path / f"{UNITS[0]}.d"
    own.mkdir()
    (own / "open.conf").write_text("[Service]\nUser=root\nNoNewPrivileges=no\nSystemCallFilter=\n")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=12", tmp_path / UNITS[0]],
        check=False,
        capture_output=True,
    )
    assert done.returncode != 0


@needs_haproxy
def test_haproxy_understands_its_settings(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "relay.pem"
    pem.write_text(pem_of(certificate) + key_pem(key))
    operators = (EXAMPLES / "haproxy.cfg").read_text()
    assert "/etc/haproxy/relay.example.pem" in operators
    texts = {
        "operators": operators.replace("/etc/haproxy/relay.example.pem", str(pem)),
        "here": haproxy_here(8400, {"web-1": 8401, "web-2": 8402}),
    }
    for of, text in texts.items():
        path = tmp_path / f"{of}.cfg"
        path.write_text(text)
        done = subprocess.run(
            ["haproxy", "-c", "-f", path], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr


def test_one_relay_is_told_of_a_backup_that_is_made_where_none_runs(tmp_path: Path) -> None:
    (line,) = re.findall(r"^ +scp relay/(\S+) root@[\d.]+:/var/lib/doorward/(\S+)$", README, re.M)
    assert "WorkingDirectory=/var/lib/doorward\n" in (EXAMPLES.parent / UNITS[0]).read_text()
    at_home, at_a_relay = (new_relay(tmp_path / name) for name in ("home", "relay"))
    note_backup(at_home, 1_000)
    assert last_backup_ms(at_a_relay) is None
    shutil.copy(at_home.data_dir / line[0], at_a_relay.data_dir / line[1])
    assert last_backup_ms(at_a_relay) == 1_000


def test_whichever_database_is_the_standby_may_follow_the_other() -> None:
    machines = re.search(r"^\| 10\.0\.0\.41, \.42 \| PostgreSQL", README, re.M)
    assert machines
    may = re.findall(r"^ +hostssl replication replicator (\S+)/32 ", README, re.M)
    assert may == ["10.0.0.41", "10.0.0.42"]


def test_the_readme_names_each_role_that_a_cluster_has() -> None:
    for role in set(RELAYS.values()):
        assert f"`{role}`" in README or f"--role {role}" in README, role
