"""What stood here before: the hours have moved to the site's calendar."""

from typing import Any

from pydantic import model_validator

from hub.plugin import PluginSettings


class Settings(PluginSettings):
    @model_validator(mode="before")
    @classmethod
    def _moved(cls, section: Any) -> Any:
        if isinstance(section, dict) and "hours" in section:
            raise ValueError("the opening hours stand under `calendar: hours:` now, beside `site:`")
        return section
