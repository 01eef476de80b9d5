"""`kommunevert run`: the hub itself."""

import sys
from pathlib import Path

import click

from hub.cli import logs, memory
from hub.cli.command import CONFIG, hub_of, run_to_end, stop_event
from hub.configuration.settings import Configuration
from hub.web.connections import allow_many_files


@click.command()
@CONFIG
def run(config: Path) -> None:
    """Run the hub of this configuration, until Ctrl-C or SIGTERM."""
    memory.begin()
    allow_many_files()
    logs.set_up(as_json=not sys.stderr.isatty())
    hub = hub_of(Configuration.read, config)

    async def serve() -> None:
        stopped = stop_event()
        async with hub.running():
            memory.settle()
            click.echo(f"Kommunevert is ready: {hub.settings.web.address}")
            if not await hub.accounts.any_exist():
                click.echo(f"Nobody can log in yet: kommunevert user add NAME --role it --config {config}")
            await stopped.wait()

    run_to_end(serve)
