"""`kommunevert check`: what is wrong in a configuration, before anything is started."""

import logging
import sys
from pathlib import Path

import click

from hub.cli import logs
from hub.cli.checking import check_file
from hub.cli.command import CONFIG
from hub.configuration.settings import ConfigurationError


@click.command("check")
@CONFIG
@click.option("--try", "trying", is_flag=True, help="Also connect to the servers that it names, and log in there.")
def check_configuration(config: Path, *, trying: bool) -> None:
    """Say what is wrong in a configuration file, and what would not work. Starts nothing and changes nothing."""
    sys.dont_write_bytecode = True  # importing a plugin's folder would write bytecode into it
    logs.set_up(as_json=not sys.stderr.isatty(), level=logging.CRITICAL)
    try:
        mistakes, hints = check_file(config, trying=trying)
    except ConfigurationError as error:
        mistakes, hints = error.mistakes, []
    for hint in hints:
        click.echo(f"hint: {hint}")
    if mistakes:
        raise click.ClickException("\n".join(["the configuration is wrong, nothing was started", *mistakes]))
    click.echo(f"{config}: good")
