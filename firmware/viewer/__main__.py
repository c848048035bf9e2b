"""`python -m firmware.viewer` is `doorward-view`."""

import sys

from firmware.viewer.cli import main

if __name__ == "__main__":
    sys.exit(main())
