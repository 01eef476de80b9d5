"""`kommunevert asyncapi` and `openapi`: what other programs can build on."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hub.cli import logs
from hub.cli.command import run_to_end
from hub.configuration.settings import ConfigurationError
from hub.hub import Hub
from hub.toolkit import published

SOME_CONFIG = click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The configuration file.")


@click.command("asyncapi")
@SOME_CONFIG
def asyncapi_document(config: Path | None) -> None:
    """Print the AsyncAPI 3 document of all MQTT messages, of this configuration's plugins or those that come along."""
    _print_document(published.asyncapi_of, config)


@click.command("openapi")
@SOME_CONFIG
def openapi_document(config: Path | None) -> None:
    """Print the OpenAPI 3.1 document of the HTTP API, of this configuration's plugins or those that come along."""
    _print_document(published.openapi_of, config)


def _print_document(make: Callable[[Hub], dict[str, Any]], config: Path | None) -> None:
    logs.set_up(as_json=not sys.stderr.isatty(), level=30)

    async def show() -> None:
        async with published.started(config) as hub:
            click.echo(published.as_text(make(hub)), nl=False)

    try:
        run_to_end(show)
    except ConfigurationError as error:
        raise click.ClickException(f"the configuration is wrong\n{error}") from None
