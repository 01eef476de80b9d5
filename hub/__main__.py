"""`python -m hub` is the command `kommunevert`."""

from hub.cli import main

main()
