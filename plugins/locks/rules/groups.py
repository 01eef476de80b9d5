"""Groups of the directory by which rules let people in: by their DN, which is one group's alone, or by their name."""

import re
from collections.abc import Iterable, Mapping

from plugins.locks.models import AccessRule


def with_names(groups: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Employee → groups, by their DNs and by each name that one group alone has: rules of before say the name.

    A name that two groups have lets nobody in.
    """
    plain = {dns[0]: name for name, dns in _by_name(groups).items() if len(dns) == 1}
    return {person: mine | {plain[one] for one in mine if one in plain} for person, mine in groups.items()}


def ambiguous(rule: AccessRule, groups: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Each name in a rule that several groups have, and which those are, by their DNs: it lets nobody in by it."""
    if not rule.who.groups:
        return {}
    known = _by_name(groups)
    return {one: known[one] for one in rule.who.groups if len(known.get(one, ())) > 1}


def told(rules: Iterable[AccessRule], groups: Mapping[str, frozenset[str]]) -> str | None:
    """A sentence for IT about rules that say a name of several groups. None when there is none."""
    for rule in rules:
        for name, dns in ambiguous(rule, groups).items():
            return (
                f"the rule {rule.name} lets nobody in by the group {name}, as {len(dns)} groups have this name "
                f"({' and '.join(dns[:2])}): choose which on the page Access"
            )
    return None


def _by_name(groups: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Name → the DNs of the groups that have it."""
    found: dict[str, list[str]] = {}
    for dn in sorted(frozenset().union(*groups.values())):
        if "=" in dn:
            found.setdefault(name_of_group(dn), []).append(dn)
    return found


def name_of_group(dn: str) -> str:
    """`CN=Drift,OU=Grupper` → Drift."""
    first = re.split(r"(?<!\\),", dn, maxsplit=1)[0]
    return first.partition("=")[2] or dn
