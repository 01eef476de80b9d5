"""The services of the plugin, built in the order in which they depend on each other."""

from hub.plugin import Context
from plugins.locks.config import Settings
from plugins.locks.doors.mqtt import DoorTopics
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.alarms import Alarms
from plugins.locks.history.found import FoundLocks
from plugins.locks.history.log import Log
from plugins.locks.history.reports import Reports
from plugins.locks.operating.access_requests import AccessRequests
from plugins.locks.operating.lockdowns import Lockdowns
from plugins.locks.operating.service import Locks
from plugins.locks.permissions import Permissions
from plugins.locks.plans import Plans
from plugins.locks.rules.access import Access
from plugins.locks.rules.inside import Inside
from plugins.locks.rules.keys import credential_key
from plugins.locks.trust.hub_keys import HubKeys
from plugins.locks.trust.lists import Lists
from plugins.locks.trust.passes import Passes
from plugins.locks.trust.signing import Signer


class Services:
    """What pages, operations and the plugin's hooks use. Nothing runs before the plugin starts."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context = context
        self.settings = settings
        self.signer = Signer(context.data / "keys", str(context.store.engine.url.render_as_string(hide_password=False)))
        self.doors = DoorTopics(context)
        self.states = DoorStates(context)
        self.permissions = Permissions(settings.may)
        self.alarms = Alarms(context, settings)
        self.reports = Reports(context, self.alarms)
        self.access = Access(context, settings, credential_key(context.data / "keys"))
        self.hub_keys = HubKeys(context, self.signer, self.access, self.states)
        self.locks = Locks(context, settings, self.access, self.hub_keys, self.doors, self.states)
        self.plans = Plans(context)
        self.found = FoundLocks(context, self.alarms)
        self.log = Log(context, self.access)
        self.lists = Lists(context, self.access, self.hub_keys, self.doors, self.states)
        self.lockdowns = Lockdowns(context, self.access, self.locks)
        self.passes = Passes(context, self.access, self.hub_keys)
        self.inside = Inside(context, settings, self.access)
        self.access_requests = AccessRequests(
            context, self.access, self.hub_keys, self.doors, self.states, self.alarms, self.passes, self.inside
        )
