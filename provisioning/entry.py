"""Entry point of `doorward-flash`: Ctrl-C ends it without a traceback from its first moment on.

Loading the command takes a tenth of a second, in which nothing was written yet and no `try` of ours
stands: until then the signal ends the process as the system does.
"""

import signal
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    usual = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from provisioning.__main__ import main as run

    try:
        signal.signal(signal.SIGINT, usual)
        return run(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
