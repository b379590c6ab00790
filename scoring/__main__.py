"""`python -m scoring …`: the commands. Not deployed."""

import sys

try:
    from scoring.cli.main import main
except KeyboardInterrupt:  # reading the libraries takes a second or two
    sys.stderr.write("error: interrupted before anything was done\n")
    sys.exit(130)
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] == "scoring":
        raise
    sys.stderr.write(
        f"error: the library {missing.name} is not installed:"
        " `pip install -r scoring/cli/requirements.txt` installs all that the commands need\n"
    )
    sys.exit(2)

sys.exit(main(sys.argv[1:]))
