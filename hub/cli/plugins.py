"""`kommunevert plugin`: a new one, and how good one is."""

import asyncio
from pathlib import Path

import click

from hub.cli import logs
from hub.configuration.settings import Configuration, ConfigurationError
from hub.toolkit.scaffold import ScaffoldError, write_plugin

LEVELS = ("bronze", "silver", "gold")


@click.group("plugin")
def plugin_commands() -> None:
    """Write a plugin, and see how good one is."""


@plugin_commands.command("new")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("plugins"), show_default=True)
def plugin_new(name: str, out: Path) -> None:
    """Write a new plugin NAME: page, setting, table, topic, words in three languages, and a test that passes."""
    try:
        folder = write_plugin(name, out)
    except (ScaffoldError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Written: {folder}\n")
    click.echo(f"  in the configuration   plugin_directory: {out.resolve()}")
    click.echo(f"  try it                 pytest {folder}")
    click.echo(f"  how good is it         kommunevert plugin check {folder}")


@plugin_commands.command("check")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A configuration with the plugin's section, if it does not start with its defaults.",
)
@click.option("--least", type=click.Choice(LEVELS), default="bronze", show_default=True, help="Exit 1 below this.")
def plugin_check(path: Path, config: Path | None, least: str) -> None:
    """Grade the plugin in the folder PATH: bronze, silver or gold (docs/plugins.md). Its tests are run."""
    from hub.toolkit.check import grade  # noqa: PLC0415 (Alembic, which a hub that runs is spared)

    logs.set_up(as_json=False, level=50)
    folder = path.resolve()
    if not (folder / "__init__.py").is_file():
        raise click.ClickException(f"{path} is no plugin: it has no __init__.py")
    try:
        section = Configuration.read(config).plugin_section(folder.name) if config else None
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    graded = asyncio.run(grade(folder, section or None))
    for level in LEVELS:
        click.echo(level)
        for demand, wrong in graded.results:
            if demand.level == level:
                click.echo(f"  {'no ' if wrong else 'yes'}  {demand.text}")
                for line in wrong:
                    click.echo(f"         {line}")
    click.echo(f"\n{folder.name}: {graded.reached or 'below bronze'}")
    if graded.reached is None or LEVELS.index(graded.reached) < LEVELS.index(least):
        raise SystemExit(1)
