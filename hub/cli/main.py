"""The command line: `kommunevert`."""

import getpass
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from hub.accounts.accounts import ROLES, LastAccountError, UnknownAccountError
from hub.cli import logs, memory
from hub.cli.checking import looked_over
from hub.cli.command import CONFIG, hub_of, run_to_end, stop_asked
from hub.cli.demo import demo
from hub.cli.devices import account, broker, device, simulate
from hub.cli.plugins import plugin_commands
from hub.cli.tokens import token
from hub.configuration.settings import Configuration, ConfigurationError
from hub.hub import Hub
from hub.toolkit import published
from hub.web.connections import allow_many_files

SOME_CONFIG = click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The configuration file.")


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="kommunevert")
def main() -> None:
    """The open hub of a municipality's front desk."""


for command in (demo, device, account, token, simulate, broker, plugin_commands):
    main.add_command(command)


@main.command()
@CONFIG
def run(config: Path) -> None:
    """Run the hub of this configuration, until Ctrl-C or SIGTERM."""
    memory.share_one_heap()
    allow_many_files()
    logs.set_up(as_json=not sys.stderr.isatty())
    hub = hub_of(Configuration.read, config)

    async def serve() -> None:
        stopped = stop_asked()
        async with hub.running():
            memory.settle()
            click.echo(f"Kommunevert is ready: {hub.settings.web.address}")
            if not await hub.accounts.exist():
                click.echo(f"Nobody can log in yet: kommunevert user add NAME --role it --config {config}")
            await stopped.wait()

    run_to_end(serve)


@main.command("check")
@CONFIG
@click.option("--try", "trying", is_flag=True, help="Also connect to the servers that it names, and log in there.")
def check_configuration(config: Path, *, trying: bool) -> None:
    """Say what is wrong in a configuration file, and what would not work. Starts nothing and changes nothing."""
    sys.dont_write_bytecode = True  # importing a plugin's folder would leave some in it
    logs.set_up(as_json=not sys.stderr.isatty(), level=logging.CRITICAL)
    try:
        mistakes, hints = looked_over(config, trying=trying)
    except ConfigurationError as error:
        mistakes, hints = error.mistakes, []
    for hint in hints:
        click.echo(f"hint: {hint}")
    if mistakes:
        raise click.ClickException("\n".join(["the configuration is wrong, nothing was started", *mistakes]))
    click.echo(f"{config}: good")


@main.command("asyncapi")
@SOME_CONFIG
def asyncapi_document(config: Path | None) -> None:
    """Print the AsyncAPI 3 document of all MQTT messages, of this configuration's plugins or those that come along."""
    _print_document(published.asyncapi_of, config)


@main.command("openapi")
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


@main.group()
def user() -> None:
    """Local accounts for the console."""


@user.command("add")
@click.argument("name")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True)
@CONFIG
def user_add(name: str, roles: tuple[Any, ...], config: Path) -> None:
    """Make a local account, or give it a new password and roles. Asks for the password."""
    hub = hub_of(Configuration.read, config)
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")

    async def put() -> None:
        async with hub.store_only():
            await hub.accounts.put(name, password, frozenset(roles), "command line")

    run_to_end(put)
    click.echo(f"{name} can log in.")


@user.command("list")
@CONFIG
def user_list(config: Path) -> None:
    """Show the local accounts and their roles."""
    hub = hub_of(Configuration.read, config)

    async def show() -> None:
        async with hub.store_only():
            for one in await hub.accounts.all():
                click.echo(f"{one.name}  {' '.join(one.roles)}{'  disabled' if one.is_shut else ''}")

    run_to_end(show)


@user.command("remove")
@click.argument("name")
@CONFIG
def user_remove(name: str, config: Path) -> None:
    """Remove a local account, log out who has logged in with it, and revoke its tokens. Also beside a hub that runs."""

    async def remove(hub: Hub) -> None:
        tokens = await hub.accounts.remove(name, "command line")
        click.echo("\n".join([f"Removed: {name}", *(f"Token revoked: {one}" for one in tokens)]))

    _change_account(config, remove)


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let them log in again.")
@CONFIG
def user_disable(name: str, undo: bool, config: Path) -> None:
    """Let nobody log in with a local account, and log out who has. Also beside a hub that runs."""
    _change_account(config, lambda hub: hub.accounts.shut(name, "command line", is_shut=not undo))
    click.echo(f"{name} can log in again." if undo else f"Disabled: {name}")


def _change_account(config: Path, change: Callable[[Hub], Awaitable[None]]) -> None:
    hub = hub_of(Configuration.read, config)

    async def work() -> None:
        async with hub.store_only():
            try:
                await change(hub)
            except UnknownAccountError as error:
                raise click.ClickException(f"there is no account {error}") from None
            except LastAccountError as error:
                raise click.ClickException(str(error)) from None

    run_to_end(work)


@main.group()
def tls() -> None:
    """Certificates."""


@tls.command("init")
@click.argument("names", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("tls"), show_default=True)
def tls_init(names: tuple[str, ...], out: Path) -> None:
    """Make a local authority and a server certificate for NAMES (host names and addresses)."""
    from hub.broker.tls import make_certificates  # noqa: PLC0415 (cryptography takes 8 MB that a running hub need not)

    paths = make_certificates(out, list(names))
    click.echo(f"Tablets must trust {paths['ca']} once. In the configuration:\n")
    click.echo(f"web:\n  tls:\n    certificate: {paths['server'].resolve()}\n    key: {paths['server-key'].resolve()}")
