"""The search in all plugins, for the console and the API."""

from collections.abc import Set as AbstractSet

from hub.hooks.asking import Hooks
from hub.hooks.specifications import Finding, Role, find

MAX_LENGTH = 80
MIN_LENGTH = 2
MAX_PER_PLUGIN = 10


async def search(hooks: Hooks, text: str, roles: AbstractSet[Role]) -> list[tuple[str, list[Finding]]]:
    """Plugin → results visible to these roles, the best first; plugins without results are left out.

    Nothing for less than two characters.
    """
    if len(text) < MIN_LENGTH:
        return []
    answers = (await hooks.all(find, text=text, limit=MAX_PER_PLUGIN)).by_plugin
    visible = ((plugin, [one for one in findings if _is_visible(one, roles)]) for plugin, findings in answers)
    return [(plugin, findings) for plugin, findings in visible if findings]


def _is_visible(one: Finding, roles: AbstractSet[Role]) -> bool:
    """Whether these roles may see the result, and its link is a path on this site."""
    is_ours = one.path.startswith("/") and not one.path.startswith("//")
    return is_ours and (not one.roles or bool(roles & one.roles))
