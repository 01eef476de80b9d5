"""`kommunevert user`: local accounts for the console."""

import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from hub.accounts.accounts import ROLES, LastAccountError, UnknownAccountError
from hub.cli.command import CONFIG, hub_of, run_to_end
from hub.configuration.settings import Configuration
from hub.hub import Hub


@click.group()
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
