"""One question to all plugins at once: the search on the console and in the API."""

from collections.abc import Set as AbstractSet

from hub.hooks.asking import Hooks
from hub.hooks.specifications import Finding, Role, find

LONGEST = 80
LEAST = 2
MOST_EACH = 10


async def search(hooks: Hooks, text: str, roles: AbstractSet[Role]) -> list[tuple[str, list[Finding]]]:
    """Each plugin that knows something about `text`, with what these roles may see of it, the best first.

    Nothing for less than two characters.
    """
    if len(text) < LEAST:
        return []
    answers = await hooks.named(find, text=text, limit=MOST_EACH)
    seen = ((plugin, [one for one in findings if _is_seen(one, roles)]) for plugin, findings in answers)
    return [(plugin, findings) for plugin, findings in seen if findings]


def _is_seen(one: Finding, roles: AbstractSet[Role]) -> bool:
    """By these roles, and leading to a page of this console: never a script or another site."""
    is_ours = one.path.startswith("/") and not one.path.startswith("//")
    return is_ours and (not one.roles or bool(roles & one.roles))
