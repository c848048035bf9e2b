"""`python -m firmware.companion.viewer` is `doorward-view`."""

import sys

from firmware.companion.viewer.cli import main

if __name__ == "__main__":
    sys.exit(main())
