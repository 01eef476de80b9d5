"""Directory groups in rules: by DN, which is unique, or by plain name, as in older rules."""

import re
from collections.abc import Iterable, Mapping

from plugins.locks.models import AccessRule


def with_names(groups: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Employee → groups, as DNs and as those plain names that only one group has.

    A name that several groups share lets nobody in.
    """
    plain = {dns[0]: name for name, dns in _by_name(groups).items() if len(dns) == 1}
    return {person: mine | {plain[group] for group in mine if group in plain} for person, mine in groups.items()}


def ambiguous(rule: AccessRule, groups: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Each group name in a rule that several groups share, with their DNs. Such a name lets nobody in."""
    if not rule.who.groups:
        return {}
    known = _by_name(groups)
    return {group: known[group] for group in rule.who.groups if len(known.get(group, ())) > 1}


def ambiguity_problem(rules: Iterable[AccessRule], groups: Mapping[str, frozenset[str]]) -> str | None:
    """A sentence for IT about the first rule with an ambiguous group name; None without one."""
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
