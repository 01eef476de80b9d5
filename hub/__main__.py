"""`python -m hub` is the command `kommunevert`."""

from hub.cli.main import main

main()
