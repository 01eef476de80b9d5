"""`kommunevert tls`: a local authority and its certificates."""

from pathlib import Path

import click

from hub.broker.tls import make_certificates


@click.group()
def tls() -> None:
    """Certificates."""


@tls.command("init")
@click.argument("names", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("tls"), show_default=True)
def tls_init(names: tuple[str, ...], out: Path) -> None:
    """Make a local authority and a server certificate for NAMES (host names and addresses)."""
    paths = make_certificates(out, list(names))
    click.echo(f"Browsers must trust {paths['ca']} once. In the configuration:\n")
    click.echo(f"web:\n  tls:\n    certificate: {paths['server'].resolve()}\n    key: {paths['server-key'].resolve()}")
