"""`python -m phistar.cli`: the command, where it is not on the path."""

import sys

from phistar.cli import main

sys.exit(main())
