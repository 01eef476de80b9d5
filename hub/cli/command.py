"""How every command of `kommunevert` runs: the hub of a configuration, a loop, and errors that people can read."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from hub.accounts.accounts import WeakPasswordError
from hub.broker.mosquitto import BrokerError
from hub.configuration.data_folder import write_for_us_alone
from hub.configuration.settings import Configuration, ConfigurationError
from hub.demo.simulate import SimulationError
from hub.devices.admission import TakenNameError, UnknownGatewayError
from hub.devices.gateways import FilterError
from hub.hub import Hub
from hub.language.mistakes import said
from hub.store.trouble import DamagedStoreError, DataInUseError, NewerSchemaError
from hub.web.assets import MissingAssetsError

STOPS = (signal.SIGINT, signal.SIGTERM)
REFUSALS = (DataInUseError, DamagedStoreError, SimulationError, WeakPasswordError, TakenNameError, FilterError)

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The configuration file."
)


def hub_of(read: Callable[[Path], Configuration], path: Path) -> Hub:
    """Not started. Raises click.ClickException with what is wrong in the configuration."""
    write_for_us_alone()
    try:
        return Hub(read(path))
    except ConfigurationError as error:
        raise click.ClickException(f"the configuration is wrong, nothing was started\n{error}") from None


def run_to_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On a loop of its own. What is refused or away becomes a click.ClickException, a line for its reader."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work())
    except ValidationError as error:
        raise click.ClickException("; ".join(said(one) for one in error.errors())) from None
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


def stop_event() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM, also while the hub starts: it closes in order then. A second one ends it at once."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in STOPS:
            loop.remove_signal_handler(number)

    for number in STOPS:
        loop.add_signal_handler(number, stop)
    return stopped
