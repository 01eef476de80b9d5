"""Shared by all commands of `kommunevert`: the hub of a configuration, an event loop, and readable errors."""

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
from hub.configuration.data_folder import restrict_new_files
from hub.configuration.settings import Configuration, ConfigurationError
from hub.demo.simulate import SimulationError
from hub.devices.admission import TakenNameError, UnknownGatewayError
from hub.devices.gateways import FilterError
from hub.hub import Hub
from hub.language.mistakes import described
from hub.store.trouble import DamagedStoreError, DataInUseError, NewerSchemaError
from hub.web.assets import MissingAssetsError

STOPS = (signal.SIGINT, signal.SIGTERM)
REFUSALS = (DataInUseError, DamagedStoreError, SimulationError, WeakPasswordError, TakenNameError, FilterError)

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The configuration file."
)


def hub_of(read: Callable[[Path], Configuration], path: Path) -> Hub:
    """The hub, not started. Raises click.ClickException with the mistakes in the configuration."""
    restrict_new_files()
    try:
        return Hub(read(path))
    except ConfigurationError as error:
        raise click.ClickException(f"the configuration is wrong, nothing was started\n{error}") from None


def run_to_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on a new event loop. Expected errors become a click.ClickException with one line."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work())
    except ValidationError as error:
        raise click.ClickException("; ".join(described(one) for one in error.errors())) from None
    except UnknownGatewayError as error:
        raise click.ClickException(f"there is no account {error}") from None
    except (*REFUSALS, BrokerError, MissingAssetsError, NewerSchemaError, SQLAlchemyError, OSError) as error:
        raise click.ClickException(str(getattr(error, "orig", None) or error)) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop if it is installed (the extra `uvloop`): slightly faster, never required."""
    try:
        import uvloop  # noqa: PLC0415 (optional)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def stop_event() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM, also while the hub starts; it then stops properly. A second signal ends it at once."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in STOPS:
            loop.remove_signal_handler(number)

    for number in STOPS:
        loop.add_signal_handler(number, stop)
    return stopped
