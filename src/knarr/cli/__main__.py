"""`python -m knarr.cli`."""

from knarr.cli.main import main

main()
