"""All operations of the plugin, for programs."""

from plugins.locks.api.access import AccessApi
from plugins.locks.api.doors import DoorApi
from plugins.locks.api.hub_keys import HubKeyApi
from plugins.locks.api.plans import PlanApi
from plugins.locks.api.rules import RuleApi
from plugins.locks.api.settings import SettingsApi
from plugins.locks.services import Services


def operations(services: Services) -> tuple[object, ...]:
    """For `context.api.offer`."""
    context, settings, access, locks = services.context, services.settings, services.access, services.locks
    permissions = services.permissions
    return (
        AccessApi(context, access, locks, services.lockdowns, permissions, services.inside),
        RuleApi(context, access),
        SettingsApi(context, access),
        PlanApi(context, services.plans),
        HubKeyApi(services.hub_keys),
        DoorApi(context, permissions, settings.may_search_people, locks, services.states, services.alarms),
    )
