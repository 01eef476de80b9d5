"""Registers all pages of the plugin."""

from plugins.locks.services import Services
from plugins.locks.web.door import DoorPage
from plugins.locks.web.doors import DoorPages
from plugins.locks.web.hub_keys import HubKeyPages
from plugins.locks.web.keys import KeyPages
from plugins.locks.web.passages import PassagePages
from plugins.locks.web.passes import PassPages
from plugins.locks.web.plans import PlanPages
from plugins.locks.web.rules import RulePages


def add_pages(services: Services) -> None:
    doors = DoorPages(
        services.context,
        services.access,
        services.locks,
        services.states,
        services.lockdowns,
        services.alarms,
        services.found,
        services.permissions,
    )
    RulePages(services.context, services.access)
    KeyPages(services.context, services.settings, services.access, services.access_requests, services.inside)
    PassagePages(services.context, services.settings, services.access, services.log, doors)
    HubKeyPages(services.context, services.hub_keys)
    PassPages(services.context, services.access, services.passes, services.permissions)
    PlanPages(services.context, services.plans, services.locks, doors)
    DoorPage(
        services.context,
        services.settings,
        services.access,
        services.locks,
        services.alarms,
        services.log,
        doors,
        services.inside,
    )
