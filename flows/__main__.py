"""`python -m flows` is the command `penstock`."""

from flows.cli import main

main()
