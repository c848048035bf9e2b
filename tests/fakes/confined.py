"""Run a program under what a systemd unit forbids it, as far as that needs no systemd.

    python tests/fakes/confined.py UNIT PROGRAM [ARGUMENT…]

System calls (SystemCallFilter), memory that is written and then executed
(MemoryDenyWriteExecute), and new rights (NoNewPrivileges). Needs Linux 6.3 and what comes with
systemd: systemd-analyze, libseccomp. Devices, folders and namespaces are not confined here.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO_EPERM = 0x7FFF0000, 0x00050001


def values_of(unit: Path, key: str) -> list[str]:
    lines = unit.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(key + "=")]


def calls_of(groups: list[str]) -> set[str]:
    """Return the system calls that these names and groups (@…) mean."""
    calls: set[str] = set()
    for group in groups:
        if not group.startswith("@"):
            calls.add(group)
            continue
        told = subprocess.run(
            ["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True
        )
        words = [line.strip() for line in told.stdout.splitlines()[1:]]
        calls |= calls_of([word for word in words if word and not word.startswith("#")])
    return calls


def allowed_calls(unit: Path) -> set[str]:
    """Return what SystemCallFilter leaves, line by line; "~" takes away."""
    allowed = calls_of(["@default"])
    for value in values_of(unit, "SystemCallFilter"):
        if value.startswith("~"):
            allowed -= calls_of(value[1:].split())
        else:
            allowed |= calls_of(value.split())
    return allowed


def confine(unit: Path) -> None:
    allowed = allowed_calls(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    if values_of(unit, "NoNewPrivileges") == ["yes"]:
        _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if values_of(unit, "MemoryDenyWriteExecute") == ["yes"]:
        _check(libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0), "memory protection")
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO_EPERM)))
    for call in sorted(allowed):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # else another processor's
            allow = ctypes.c_uint32(SCMP_ACT_ALLOW)
            _check(seccomp.seccomp_rule_add(rules, allow, ctypes.c_int(number), 0), call)
    _check(seccomp.seccomp_load(rules), "system call filter")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what} can't be confined here ({result})")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - that is what it is for
