"""A plugin's section of the configuration: its base class, and kinds of values."""

from hub.configuration.mail_address import MailAddress, usable_address
from hub.configuration.settings import ConfigFile, ConfigPath, Port, SiteSettings, TimeOfDay
from hub.configuration.settings import Section as PluginSettings
from hub.language.mistakes import MistakeError

__all__ = [
    "ConfigFile",
    "ConfigPath",
    "MailAddress",
    "MistakeError",
    "PluginSettings",
    "Port",
    "SiteSettings",
    "TimeOfDay",
    "usable_address",
]
