"""The command line of somebody who prepares everything before the hub has ever run."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hub.cli.main import main


def test_a_tablet_is_added_before_the_first_start(config_file: Path) -> None:
    arguments = ("device", "add", "kiosk-1", "--kind", "kiosk", "--config", str(config_file))
    done = subprocess.run([sys.executable, "-m", "hub", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "/kiosk#device=kiosk-1&secret=" in done.stdout


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (below := command.get_command(context, name)) is not None:
                yield from commands(below, *path, name)
    else:
        yield " ".join(path), command


@pytest.mark.parametrize(("name", "command"), list(commands(main)))
def test_what_a_command_is_given_is_what_its_function_takes(name: str, command: click.Command) -> None:
    assert name
    assert command.callback is not None
    given = {one.name for one in command.params if one.expose_value}
    assert given == set(inspect.signature(inspect.unwrap(command.callback)).parameters)
