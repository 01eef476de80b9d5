"""The kernel's parts that plugins are given, or that know which plugins run."""

from dataclasses import dataclass

from hub.api.serving import ApiServer
from hub.calendar.opening import Calendar
from hub.devices import Devices
from hub.enroller import Enroller
from hub.entities.commands import Commands
from hub.entities.places import FoundPlaces
from hub.entities.registry import Entities
from hub.events import Events
from hub.hooks import Hooks
from hub.live import Live
from hub.mqtt import Mqtt
from hub.plugin_choices import Choices
from hub.plugin_host import PluginHost
from hub.settings import Configuration
from hub.store import Store


@dataclass(frozen=True)
class Kernel:
    configuration: Configuration
    host: PluginHost
    choices: Choices
    store: Store
    hooks: Hooks
    events: Events
    live: Live
    calendar: Calendar
    devices: Devices
    enroller: Enroller
    mqtt: Mqtt
    entities: Entities
    commands: Commands
    found_places: FoundPlaces
    api_server: ApiServer
