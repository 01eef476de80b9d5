"""`kommunevert demo`: ports, the demo around a hub, and where everything is."""

import asyncio
import sys
from pathlib import Path

import click

from hub.broker.mosquitto import stop_leftover
from hub.cli import logs, memory
from hub.cli.command import hub_of, run_to_end, stop_event
from hub.demo.requests import DemoRequestError
from hub.demo.town_hall import Demo, Ports, demo_configuration, free_ports
from hub.hub import Hub


@click.command()
@click.option("--port", type=int, help="Console and devices' pages.  [default: 8420, or a free one]")
@click.option("--mqtt-port", type=int, help="MQTT over TCP.  [default: 8421, or a free one]")
@click.option("--ws-port", type=int, help="MQTT over WebSockets.  [default: 8422, or a free one]")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(".demo"), show_default=True)
def demo(port: int | None, mqtt_port: int | None, ws_port: int | None, data: Path) -> None:
    """Run a town hall with invented people and simulated devices."""
    logs.set_up(as_json=not sys.stderr.isatty(), level=30)
    asyncio.run(stop_leftover(data.resolve() / "broker"))  # of a demo that was killed, so that its ports are free
    try:
        ports = _demo_ports(port, mqtt_port, ws_port)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    hub = hub_of(lambda folder: demo_configuration(folder.resolve(), ports), data)

    async def serve() -> None:
        stopped = stop_event()
        async with hub.running():
            memory.settle()
            town = Demo(hub, ports)
            try:
                await town.prepare()
            except DemoRequestError as error:
                raise click.ClickException(str(error)) from None
            async with town.companions():
                _print_welcome(hub, town, ports)
                await stopped.wait()

    run_to_end(serve)


def _demo_ports(port: int | None, mqtt_port: int | None, ws_port: int | None) -> Ports:
    wanted = {"port": (port, 8420), "mqtt-port": (mqtt_port, 8421), "ws-port": (ws_port, 8422)}
    wanted |= {"smtp-port": (None, 8423), "mailbox-port": (None, 8424)}
    ports: dict[str, int] = {}
    for name, (requested, default) in wanted.items():
        try:
            ports |= free_ports({name: requested or default})
        except OSError:
            if requested:
                raise
            ports |= free_ports({name: None})
    return Ports(*(ports[name] for name in wanted))


def _print_welcome(hub: Hub, town: Demo, ports: Ports) -> None:
    click.echo(f"\n{hub.settings.site.name} is open. Ctrl-C closes it.\n")
    click.echo(f"  Console   {hub.settings.web.address}/")
    for account in town.accounts:
        click.echo(f"            log in as {account.name:<12} {', '.join(account.roles)}")
    click.echo(f"            password  {town.password}\n")
    for name, link in town.links():
        click.echo(f"  {name}\n            {link}")
    click.echo(f"\n  Mailbox   http://localhost:{ports.mailbox}/   every mail of the demo ends here")
    click.echo(f"  MQTT      localhost:{ports.mqtt}, WebSockets localhost:{ports.websocket}\n")
