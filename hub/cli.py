"""The command line: `kommunevert`."""

import asyncio
import getpass
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from hub import logs, published
from hub.accounts import ROLES, WeakPasswordError
from hub.admission import TakenNameError, UnknownGatewayError
from hub.api.scopes import scopes_of
from hub.broker import BrokerError
from hub.broker_accounts import Account, mosquitto_hash, write_accounts
from hub.demo import Demo, Ports, demo_configuration, free_ports
from hub.gateways import FilterError
from hub.hub import Hub
from hub.migrating import NewerSchemaError
from hub.plugin_cli import plugin_commands
from hub.settings import Configuration, ConfigurationError, ExternalBroker
from hub.simulate import Counts, SimulationError, make_plan
from hub.store import now
from hub.web.assets import MissingAssetsError
from hub.web.system_pages import link_of

REFUSALS = (SimulationError, WeakPasswordError, TakenNameError, FilterError)

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The configuration file."
)

SOME_CONFIG = click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The configuration file.")


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="kommunevert")
def main() -> None:
    """The open hub of a municipality's front desk."""


main.add_command(plugin_commands)


@main.command()
@CONFIG
def run(config: Path) -> None:
    """Run the hub of this configuration, until Ctrl-C or SIGTERM."""
    logs.set_up(as_json=not sys.stderr.isatty())
    hub = _hub(Configuration.read, config)

    async def serve() -> None:
        async with hub.running():
            click.echo(f"Kommunevert is ready: {hub.settings.web.address}")
            if not await hub.accounts.exist():
                click.echo(f"Nobody can log in yet: kommunevert user add NAME --role it --config {config}")
            await _until_stopped(hub)

    _run(serve)


@main.command()
@click.option("--port", type=int, help="Console, kiosk and screen.  [default: 8420, or a free one]")
@click.option("--mqtt-port", type=int, help="MQTT over TCP.  [default: 8421, or a free one]")
@click.option("--ws-port", type=int, help="MQTT over WebSockets.  [default: 8422, or a free one]")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(".demo"), show_default=True)
def demo(port: int | None, mqtt_port: int | None, ws_port: int | None, data: Path) -> None:
    """Run a town hall with invented people, kiosks, screens and simulated doors."""
    logs.set_up(as_json=not sys.stderr.isatty(), level=30)
    try:
        ports = _demo_ports(port, mqtt_port, ws_port)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    hub = _hub(lambda folder: demo_configuration(folder.resolve(), ports), data)

    async def serve() -> None:
        async with hub.running():
            town = Demo(hub, ports)
            await town.prepare()
            async with town.companions():
                _greet(hub, town, ports)
                await _until_stopped(hub)

    _run(serve)


@main.command("check")
@CONFIG
def check_configuration(config: Path) -> None:
    """Check a configuration file and start nothing."""
    _hub(Configuration.read, config)
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
        _run(show)
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
    hub = _hub(Configuration.read, config)
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")

    async def put() -> None:
        async with hub.store_only():
            await hub.accounts.put(name, password, frozenset(roles), "command line")

    _run(put)
    click.echo(f"{name} can log in.")


@main.group()
def device() -> None:
    """Accounts of tablets, screens and controllers."""


@device.command("add")
@click.argument("device_id")
@click.option("--kind", required=True, help="kiosk, screen, door …")
@click.option("--name", help="What people call it.")
@click.option("--place", default="")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the enrolment file for a controller."
)
@CONFIG
def device_add(device_id: str, kind: str, name: str | None, place: str, out: Path | None, config: Path) -> None:
    """Enrol a device: prints its link, or writes its enrolment file. A hub that runs knows it within a second."""
    hub = _hub(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            enrolment = await hub.enrol(device_id, kind, name or device_id, place, "command line")
            if kind in hub.tablet_kinds:
                click.echo(link_of(hub.settings.web.address, hub.tablet_kinds[kind], enrolment))
            elif out is not None:
                out.touch(mode=0o600)
                out.write_bytes(enrolment.payload())
                click.echo(f"Give {out} to the controller: kommunevert-door {out}")
            else:
                click.echo(enrolment.payload().decode())

    _run(add)


@main.group()
def account() -> None:
    """Accounts for devices and gateways that are not ours: Zigbee2MQTT, ESPHome, Home Assistant."""


@account.command("add")
@click.argument("name")
@click.option("--topic", "filters", multiple=True, required=True, help="What it may write and read: zigbee2mqtt/#")
@click.option(
    "--announces/--no-announces",
    default=True,
    show_default=True,
    help="Whether it may announce devices on homeassistant/#",
)
@CONFIG
def account_add(name: str, filters: tuple[str, ...], announces: bool, config: Path) -> None:
    """Make an account, or give it new topics and a new password. The password is shown this once."""
    hub = _hub(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            secret = await hub.admission.add_gateway(name, filters, "command line", announces=announces)
        click.echo(f"user name  {name}\nclient id  {name}\npassword   {secret}")

    _run(add)


@account.command("list")
@CONFIG
def account_list(config: Path) -> None:
    """Every account with its topics."""
    hub = _hub(Configuration.read, config)

    async def show() -> None:
        async with hub.store_only():
            for one in hub.gateways:
                click.echo(f"{one.name}  {' '.join(one.filters)}{'  announces' if one.announces else ''}")

    _run(show)


@account.command("remove")
@click.argument("name")
@CONFIG
def account_remove(name: str, config: Path) -> None:
    """Take an account away; who uses it is cut."""
    hub = _hub(Configuration.read, config)

    async def remove() -> None:
        async with hub.store_only():
            await hub.admission.remove_gateway(name, "command line")

    _run(remove)
    click.echo(f"{name} has no account any more.")


@main.group()
def token() -> None:
    """Tokens that programs use the HTTP API with. Also beside a hub that runs."""


@token.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="devices:read, visits:read …; more than one.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good.  [default: until it is revoked]")
@CONFIG
def token_add(name: str, scopes: tuple[str, ...], days: int | None, config: Path) -> None:
    """Make a token and print its secret, which is shown only now."""
    hub = _hub(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            known = scopes_of(hub.operations())
            if unknown := set(scopes) - known:
                raise click.ClickException(f"no such scope: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
            expires_at = None if days is None else now() + timedelta(days=days)
            _, secret = await hub.tokens.make(name, frozenset(scopes), "command line", expires_at)
            click.echo(secret)

    _run(add)


@token.command("list")
@CONFIG
def token_list(config: Path) -> None:
    """Show the tokens that are not revoked."""
    hub = _hub(Configuration.read, config)

    async def show() -> None:
        async with hub.store_only():
            for one in await hub.tokens.all():
                used = one.last_used_at.isoformat(timespec="minutes") if one.last_used_at else "never used"
                click.echo(f"{one.id}  {one.name}  {' '.join(one.scopes)}  {used}")

    _run(show)


@token.command("revoke")
@click.argument("token_id")
@CONFIG
def token_revoke(token_id: str, config: Path) -> None:
    """Revoke the token with this id (`kommunevert token list` shows it), at once."""
    hub = _hub(Configuration.read, config)

    async def revoke() -> None:
        async with hub.store_only():
            if not await hub.tokens.revoke(token_id, "command line"):
                raise click.ClickException(f"there is no token {token_id}")

    _run(revoke)
    click.echo(f"Revoked: {token_id}")


@main.command()
@click.option("--kiosks", type=click.IntRange(0), default=2, show_default=True)
@click.option("--players", type=click.IntRange(0), default=1, show_default=True)
@click.option("--doors", type=click.IntRange(0), default=4, show_default=True)
@click.option("--sensors", type=click.IntRange(0), default=20, show_default=True, help="Zigbee2MQTT and ESPHome.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed is the same fleet.")
@click.option("--pace", type=float, default=1.0, show_default=True, help="60: an hour's visitors in a minute.")
@click.option("--hour", type=click.IntRange(0, 23), help="Always this hour of the day, instead of the clock's.")
@click.option("--away/--no-away", default=True, show_default=True, help="Whether devices are away now and then.")
@CONFIG
def simulate(
    kiosks: int,
    players: int,
    doors: int,
    sensors: int,
    seed: int,
    pace: float,
    hour: int | None,
    away: bool,
    config: Path,
) -> None:
    """Run a fleet of simulated devices against the hub of this configuration, until Ctrl-C."""
    hub = _hub(Configuration.read, config)
    counts = Counts(kiosks, players, doors, sensors)
    plans: list[Path] = []

    async def prepare() -> None:
        async with hub.store_only():
            plans.append(await make_plan(hub, counts))

    _run(prepare)
    click.echo(f"{sum((kiosks, players, doors))} devices and {sensors} sensors; Ctrl-C stops them.")
    arguments = ["--seed", str(seed), "--pace", str(pace), "--away" if away else "--no-away"]
    arguments += [] if hour is None else ["--hour", str(hour)]
    os.execv(sys.executable, [sys.executable, "-m", "devices.simulator", str(plans[0]), *arguments])  # noqa: S606


@main.group()
def broker() -> None:
    """For a broker that the hub does not start itself."""


@broker.command("accounts")
@CONFIG
def broker_accounts(config: Path) -> None:
    """Write the Mosquitto password and ACL files of an external broker; then send that broker SIGHUP."""
    hub = _hub(Configuration.read, config)
    settings = hub.settings.broker
    if not isinstance(settings, ExternalBroker) or settings.accounts_dir is None:
        raise click.ClickException("the configuration names no external broker with `accounts_dir`")
    folder, secret = settings.accounts_dir, settings.secret_file.read_text().strip()

    async def write() -> None:
        async with hub.store_only():
            own = Account(settings.account, mosquitto_hash(secret), ("#",), ("#", "$SYS/#"))
            write_accounts(folder, [own, *hub.admission.accounts()])

    _run(write)
    click.echo(f"Written: {folder / 'passwords'} and {folder / 'acl'}")


@main.group()
def tls() -> None:
    """Certificates."""


@tls.command("init")
@click.argument("names", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("tls"), show_default=True)
def tls_init(names: tuple[str, ...], out: Path) -> None:
    """Make a local authority and a server certificate for NAMES (host names and addresses)."""
    from hub.tls import make_certificates  # noqa: PLC0415 (cryptography takes 8 MB that a running hub need not)

    paths = make_certificates(out, list(names))
    click.echo(f"Tablets must trust {paths['ca']} once. In the configuration:\n")
    click.echo(f"web:\n  tls:\n    certificate: {paths['server'].resolve()}\n    key: {paths['server-key'].resolve()}")


def _hub(read: Callable[[Path], Configuration], path: Path) -> Hub:
    try:
        return Hub(read(path))
    except ConfigurationError as error:
        raise click.ClickException(f"the configuration is wrong, nothing was started\n{error}") from None


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work())
    except ValidationError as error:
        raise click.ClickException("; ".join(one["msg"] for one in error.errors())) from None
    except UnknownGatewayError as error:
        raise click.ClickException(f"there is no account {error}") from None
    except (*REFUSALS, BrokerError, MissingAssetsError, NewerSchemaError, SQLAlchemyError, OSError) as error:
        raise click.ClickException(str(getattr(error, "orig", None) or error)) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it is installed (the extra `uvloop`): a little quicker, never needed."""
    try:
        import uvloop  # noqa: PLC0415 (optional)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _until_stopped(hub: Hub) -> None:
    """Ctrl-C, SIGTERM, or a part of the kernel that has failed."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    waits = [asyncio.create_task(stopped.wait()), asyncio.create_task(hub.until_broken())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if not stopped.is_set():
        raise click.ClickException("a part of the hub has failed; the log says which")


def _demo_ports(port: int | None, mqtt_port: int | None, ws_port: int | None) -> Ports:
    wished = {"port": (port, 8420), "mqtt-port": (mqtt_port, 8421), "ws-port": (ws_port, 8422)}
    wished |= {"smtp-port": (None, 8423), "mailbox-port": (None, 8424)}
    found: dict[str, int] = {}
    for name, (asked, usual) in wished.items():
        try:
            found |= free_ports({name: asked or usual})
        except OSError:
            if asked:
                raise
            found |= free_ports({name: None})
    return Ports(*(found[name] for name in wished))


def _greet(hub: Hub, town: Demo, ports: Ports) -> None:
    click.echo(f"\n{hub.settings.site.name} is open. Ctrl-C closes it.\n")
    click.echo(f"  Console   {hub.settings.web.address}/")
    for account in town.accounts:
        click.echo(f"            log in as {account.name:<12} {', '.join(account.roles)}")
    click.echo(f"            password  {town.password}\n")
    for name, link in town.links():
        click.echo(f"  {name}\n            {link}")
    click.echo(f"\n  Mailbox   http://localhost:{ports.mailbox}/   every mail of the demo ends here")
    click.echo(f"  MQTT      localhost:{ports.mqtt}, WebSockets localhost:{ports.websocket}\n")
