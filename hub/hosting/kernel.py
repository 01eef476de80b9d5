"""The kernel's parts that the lifecycle of plugins uses."""

from dataclasses import dataclass

from hub.api.serving import ApiServer
from hub.calendar.opening import Calendar
from hub.configuration.settings import Configuration
from hub.devices.enroller import Enroller
from hub.devices.mqtt import Mqtt
from hub.devices.registry import Devices
from hub.entities.commands import Commands
from hub.entities.places import FoundPlaces
from hub.entities.registry import Entities
from hub.hooks.asking import Hooks
from hub.hosting.choices import Choices
from hub.hosting.host import PluginHost
from hub.store.events import Events
from hub.store.live import Live
from hub.store.store import Store
from hub.work.jobs import Jobs


@dataclass(frozen=True)
class Kernel:
    configuration: Configuration
    host: PluginHost
    choices: Choices
    store: Store
    hooks: Hooks
    events: Events
    jobs: Jobs
    live: Live
    calendar: Calendar
    devices: Devices
    enroller: Enroller
    mqtt: Mqtt
    entities: Entities
    commands: Commands
    found_places: FoundPlaces
    api_server: ApiServer
