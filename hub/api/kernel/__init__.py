"""The kernel's own operations."""

from typing import TYPE_CHECKING

from hub.api.kernel.accounts import AccountApi
from hub.api.kernel.audit_log import AuditApi
from hub.api.kernel.devices import DeviceApi
from hub.api.kernel.entities import EntityApi
from hub.api.kernel.opening import OpeningApi
from hub.api.kernel.pairing import PairingApi
from hub.api.kernel.plugin_choices import PluginChoiceApi
from hub.api.kernel.plugins import PluginApi
from hub.api.kernel.search import SearchApi
from hub.api.kernel.tokens import TokenApi
from hub.api.operations import Api

if TYPE_CHECKING:
    from hub.hub import Hub


def kernel_operations(hub: "Hub") -> Api:
    api = Api("hub")
    DeviceApi(api, hub)
    AccountApi(api, hub)
    EntityApi(api, hub)
    OpeningApi(api, hub.exceptions, hub.opening_changed)
    PairingApi(api, hub)
    PluginApi(api, hub)
    PluginChoiceApi(api, hub)
    AuditApi(api, hub.store)
    TokenApi(api, hub)
    SearchApi(api, hub)
    hub.event_stream.offer(api)
    return api
