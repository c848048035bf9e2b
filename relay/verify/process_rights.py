"""Limits that a process sets for itself before it reads what may be hostile."""

import resource


def give_up_rights(*, memory_bytes: int, processor_s: int) -> None:
    """Drop rights: no new files or connections; bounded addresses, time and file size.

    A process that it forked would have the same limits. (RLIMIT_NPROC would also keep a native
    library from its own threads, and counts for nothing where this runs as root.)
    """
    for what, limit in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, processor_s),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
