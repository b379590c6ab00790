"""`python -m scoring …`: the commands. Not deployed."""

import sys

from scoring.cli.main import main

sys.exit(main(sys.argv[1:]))
