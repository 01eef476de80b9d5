"""`kommunevert device`, `account`, `broker`, `simulate`: accounts on the broker, and a simulated fleet."""

import os
import sys
from pathlib import Path

import click

from hub.broker.accounts import BrokerAccount, mosquitto_hash, write_accounts
from hub.cli.command import CONFIG, hub_of, run_to_end
from hub.configuration.settings import Configuration, ExternalBroker
from hub.demo.simulate import make_plan, usual_counts


@click.group()
def device() -> None:
    """Accounts of devices."""


@device.command("add")
@click.argument("device_id")
@click.option("--kind", required=True, help="One that a plugin drives.")
@click.option("--name", help="What people call it.")
@click.option("--place", default="")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write its enrolment file here.",
)
@CONFIG
def device_add(device_id: str, kind: str, name: str | None, place: str, out: Path | None, config: Path) -> None:
    """Enrol a device: prints its link, or writes its enrolment file. A hub that runs knows it within a second."""
    hub = hub_of(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            enrolment = await hub.enroller.enrol(device_id, kind, name or device_id, place, "command line")
            if (link := hub.enroller.link(enrolment)) is not None:
                click.echo(link)
            elif out is not None:
                out.touch(mode=0o600)
                out.write_bytes(enrolment.encoded())
                driven = hub.enroller.driven.get(kind)
                command = f": {driven.program} {out}" if driven and driven.program else "."
                click.echo(f"Give {out} to the device{command}")
            else:
                click.echo(enrolment.encoded().decode())

    run_to_end(add)


@click.group()
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
    hub = hub_of(Configuration.read, config)

    async def add() -> None:
        async with hub.store_only():
            secret = await hub.admission.add_gateway(name, filters, "command line", announces=announces, may_order=True)
        click.echo(f"user name  {name}\nclient id  {name}\npassword   {secret}")

    run_to_end(add)


@account.command("list")
@CONFIG
def account_list(config: Path) -> None:
    """Every account with its topics."""
    hub = hub_of(Configuration.read, config)

    async def show() -> None:
        async with hub.store_only():
            for one in hub.gateways:
                click.echo(f"{one.name}  {' '.join(one.filters)}{'  announces' if one.announces else ''}")

    run_to_end(show)


@account.command("remove")
@click.argument("name")
@CONFIG
def account_remove(name: str, config: Path) -> None:
    """Take an account away; who uses it is cut."""
    hub = hub_of(Configuration.read, config)

    async def remove() -> None:
        async with hub.store_only():
            await hub.admission.remove_gateway(name, "command line")

    run_to_end(remove)
    click.echo(f"{name} has no account any more.")


@click.group()
def broker() -> None:
    """For a broker that the hub does not start itself."""


@broker.command("accounts")
@CONFIG
def broker_accounts(config: Path) -> None:
    """Write the Mosquitto password and ACL files of an external broker; then send that broker SIGHUP."""
    hub = hub_of(Configuration.read, config)
    settings = hub.settings.broker
    if not isinstance(settings, ExternalBroker) or settings.accounts_dir is None:
        raise click.ClickException("the configuration names no external broker with `accounts_dir`")
    folder, secret = settings.accounts_dir, settings.secret_file.read_text().strip()

    async def write() -> None:
        async with hub.store_only():
            own = BrokerAccount(settings.account, mosquitto_hash(secret), ("#",), ("#", "$SYS/#"))
            write_accounts(folder, [own, *hub.admission.accounts()])

    run_to_end(write)
    click.echo(f"Written: {folder / 'passwords'} and {folder / 'acl'}")


def _counts(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for one in values:
        kind, _, number = one.partition("=")
        if not number.isdecimal():
            raise click.BadParameter(f"{one} is not KIND=NUMBER")
        counts[kind] = int(number)
    return counts


@click.command()
@click.option(
    "--count", "requested", multiple=True, callback=_counts, metavar="KIND=NUMBER", help="So many of this kind."
)
@click.option("--sensors", type=click.IntRange(0), default=20, show_default=True, help="Zigbee2MQTT and ESPHome.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed is the same fleet.")
@click.option("--pace", type=float, default=1.0, show_default=True, help="60: an hour's visitors in a minute.")
@click.option("--hour", type=click.IntRange(0, 23), help="Always this hour of the day, instead of the clock's.")
@click.option("--away/--no-away", default=True, show_default=True, help="Whether devices are away now and then.")
@CONFIG
def simulate(
    requested: dict[str, int],
    sensors: int,
    seed: int,
    pace: float,
    hour: int | None,
    away: bool,
    config: Path,
) -> None:
    """Run a fleet of simulated devices against the hub of this configuration, until Ctrl-C."""
    hub = hub_of(Configuration.read, config)
    counts: dict[str, int] = {}
    plans: list[Path] = []

    async def prepare() -> None:
        async with hub.store_only():
            counts.update(usual_counts(hub) | requested)
            plans.append(await make_plan(hub, counts, sensors))

    run_to_end(prepare)
    click.echo(f"{sum(counts.values())} devices and {sensors} sensors; Ctrl-C stops them.")
    arguments = ["--seed", str(seed), "--pace", str(pace), "--away" if away else "--no-away"]
    arguments += [] if hour is None else ["--hour", str(hour)]
    os.execv(sys.executable, [sys.executable, "-m", "devices.simulator", str(plans[0]), *arguments])  # noqa: S606
