"""The command line of `doorward-monitor`: checks a relay's logs and writes its report.

    doorward-monitor --policy policy.txt --log https://relay.example/log --state seen/

Exit codes: 0 everything holds, 1 the logs can't be read, 2 a bad argument, 3 an entry breaks a
rule, 4 the log contradicts itself or what was seen before, 5 nobody has cosigned it lately,
6 something that was due is missing, or lately came late or was left out, or this version doesn't
count a new entry. Of 3, 5 and 6 it is the first that is so.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.protocol.command_line import ZERO, quiet_pipe
from firmware.protocol.encoding import WireError
from firmware.protocol.register.register_file import WholeRegister, encode_register, parse_register
from firmware.protocol.tlog.policy import parse_policy
from relay.tools.monitor.errors import LogDishonest, MonitorError

if TYPE_CHECKING:
    from relay.tools.monitor.inspection import Inspection

HOLDS, UNREADABLE, BAD_ARGUMENT, VIOLATED, DISHONEST, STALE, MISSING = 0, 1, 2, 3, 4, 5, 6


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Inspect both logs once; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        policy = parse_policy(options.policy.read_bytes())
    except (OSError, WireError) as error:
        print(f"doorward-monitor: --policy {options.policy}: {error}", file=sys.stderr)
        return BAD_ARGUMENT
    try:
        old = None if options.succeeds is None else parse_register(options.succeeds.read_bytes())
    except (OSError, WireError) as error:
        print(f"doorward-monitor: --succeeds {options.succeeds}: {error}", file=sys.stderr)
        return BAD_ARGUMENT
    from relay.tools.monitor.inspection import inspect_logs
    from relay.tools.monitor.report import as_json, as_markdown
    from relay.tools.monitor.seen_checkpoints import SeenCheckpoints
    from relay.tools.monitor.source import HttpSource

    memory = SeenCheckpoints(options.state)
    source = HttpSource(options.log, site=options.site)
    try:
        seen = inspect_logs(source, policy, memory)
    except LogDishonest as error:
        print(f"doorward-monitor: {error}", file=sys.stderr)
        for path in memory.keep_proof(error):
            print(f"doorward-monitor: kept as proof: {path}", file=sys.stderr)
        return DISHONEST
    except MonitorError as error:
        print(f"doorward-monitor: {error}", file=sys.stderr)
        return UNREADABLE
    finally:
        source.close()
    if options.save_register is not None:
        try:
            options.save_register.write_bytes(encode_register(seen.register))
        except OSError as error:
            where = f"--save-register {options.save_register}"
            print(f"doorward-monitor: {where}: {error.strerror}", file=sys.stderr)
            return BAD_ARGUMENT
    is_right = old is None or _is_successor(seen, old)
    code = _tell(seen)  # first: what was seen is remembered by now, and some of it is told once
    code = code if is_right else VIOLATED
    text = as_json(seen.report) if options.json else as_markdown(seen.report).encode()
    if options.report is None:
        sys.stdout.buffer.write(text)
        return code
    try:
        options.report.write_bytes(text)
    except OSError as error:
        print(f"doorward-monitor: --report {options.report}: {error.strerror}", file=sys.stderr)
        return code or BAD_ARGUMENT
    return code


def _is_successor(seen: "Inspection", old: WholeRegister) -> bool:
    """Tell whether the register's charter succeeds an old register, and say so."""
    from firmware.protocol.register.succession import check_succession, succession_of

    try:
        named = succession_of(seen.register[0]) if seen.register else None
        if named is None:
            raise WireError("its charter names no register that it succeeds")
        check_succession(named, old)
    except WireError as error:
        print(f"doorward-monitor: it doesn't succeed the old register: {error}", file=sys.stderr)
        return False
    words = f"it succeeds {named.origin}, as two of its administrators signed"
    print(f"doorward-monitor: note: {words}", file=sys.stderr)
    return True


def _tell(seen: "Inspection") -> int:
    """Print the violations; return the exit code."""
    for violation in seen.violations:
        print(f"doorward-monitor: {violation}", file=sys.stderr)
    for origin in seen.stale:
        print(
            f"doorward-monitor: {origin}: its witnesses haven't signed for too long: it may be "
            "withheld",
            file=sys.stderr,
        )
    for what in (*seen.missing, *seen.uncounted):
        print(f"doorward-monitor: {what}", file=sys.stderr)
    for note in seen.notes:
        print(f"doorward-monitor: note: {note}", file=sys.stderr)
    if seen.violations:
        return VIOLATED
    if seen.stale:
        return STALE
    return MISSING if seen.missing or seen.uncounted else HOLDS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-monitor",
        description="Reads a relay's two public logs whole, checks every entry, and writes the "
        "transparency report: the same bytes for everybody.",
        epilog="Exit codes: 0 everything holds, 1 the logs can't be read, 2 a bad argument, 3 an "
        "entry breaks a rule, 4 the log contradicts itself or what was seen before, 5 nobody has "
        "cosigned it lately, 6 something that was due (a slot, an agency's answer, an agreement's "
        "text) is missing, slots were lately left out or late, or this version doesn't count a new "
        "entry. Lately: since --state was written, else in the last 7 days. Of 3, 5 and 6 it is "
        f"the first that is so. {ZERO}",
    )
    parser.add_argument(
        "--policy", type=Path, required=True, metavar="FILE",
        help="the trusted policy: the file that doorbells have, not from the relay itself",
    )  # fmt: skip
    parser.add_argument("--log", required=True, metavar="URL", help="such as https://relay/log")
    parser.add_argument(
        "--site",
        metavar="URL",
        help="the relay itself, whose pages of agreements are read as people read them; it is the "
        "URL of the logs without /log, if nothing else is said",
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="folder for the checkpoints that were seen"
    )
    parser.add_argument(
        "--save-register", type=Path, metavar="FILE",
        help="also write the whole register here, as doorward-verify reads it (register.tlog)",
    )  # fmt: skip
    parser.add_argument(
        "--succeeds", type=Path, metavar="FILE",
        help="the register that this one must succeed, as you saved it at its end (register.tlog)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the report as JSON, not Markdown")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write it here (not printed)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
