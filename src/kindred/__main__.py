"""`python -m kindred` is the command `kindred`."""

import sys

from kindred.command import main

sys.exit(main())
