"""`kommunevert token`: what programs log in with at the HTTP API."""

from datetime import timedelta
from pathlib import Path

import click

from hub.api.scopes import scopes_of
from hub.cli.command import CONFIG, hub_of, run_to_end
from hub.configuration.settings import Configuration
from hub.store.store import now


@click.group()
def token() -> None:
    """Tokens that programs use the HTTP API with. Also beside a hub that runs."""


@token.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="devices:read, visits:read …; more than one.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good.  [default: until it is revoked]")
@CONFIG
def token_add(name: str, scopes: tuple[str, ...], days: int | None, config: Path) -> None:
    """Make a token and print its secret, which is shown only now."""
    hub = hub_of(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            known = scopes_of(hub.operations())
            if unknown := set(scopes) - known:
                raise click.ClickException(f"no such scope: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
            expires_at = None if days is None else now() + timedelta(days=days)
            _, secret = await hub.tokens.make(name, frozenset(scopes), "command line", expires_at)
            click.echo(secret)

    run_to_end(add)


@token.command("list")
@CONFIG
def token_list(config: Path) -> None:
    """Show the tokens that are not revoked."""
    hub = hub_of(Configuration.read, config)

    async def show() -> None:
        async with hub.store_only():
            for one in await hub.tokens.all():
                used = one.last_used_at.isoformat(timespec="minutes") if one.last_used_at else "never used"
                click.echo(f"{one.id}  {one.name}  {' '.join(one.scopes)}  {used}")

    run_to_end(show)


@token.command("revoke")
@click.argument("token_id")
@CONFIG
def token_revoke(token_id: str, config: Path) -> None:
    """Revoke the token with this id (`kommunevert token list` shows it), at once."""
    hub = hub_of(Configuration.read, config)

    async def revoke() -> None:
        async with hub.store_only():
            if not await hub.tokens.revoke(token_id, "command line"):
                raise click.ClickException(f"there is no token {token_id}")

    run_to_end(revoke)
    click.echo(f"Revoked: {token_id}")
