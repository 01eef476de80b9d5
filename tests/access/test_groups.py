"""A group's name in a rule: it counts while one group alone has it, and it is ambiguity_problem when two have it."""

from plugins.locks.models import AccessRule, Where, Who
from plugins.locks.rules.groups import ambiguity_problem, ambiguous, with_names

HERE, THERE, NIGHT = "CN=Vakt,OU=Teknisk,DC=x", "CN=Vakt,OU=Helse,DC=x", "CN=Natt,OU=Helse,DC=x"
PEOPLE = {"a": frozenset({HERE}), "b": frozenset({THERE, NIGHT})}


def rule(*groups: str) -> AccessRule:
    return AccessRule(id=1, name="Dagtid", who=Who(groups=groups), where=Where(everywhere=True))


def test_two_groups_of_one_name_are_two() -> None:
    kept = with_names(PEOPLE)
    assert kept["a"] == {HERE}
    assert kept["b"] == {THERE, NIGHT, "Natt"}


def test_a_name_that_several_groups_have_is_told() -> None:
    kept = with_names(PEOPLE)
    assert ambiguous(rule("Vakt", "Natt", HERE), kept) == {"Vakt": [THERE, HERE]}
    assert ambiguity_problem([rule("Natt"), rule("Vakt")], kept) == (
        f"the rule Dagtid lets nobody in by the group Vakt, as 2 groups have this name ({THERE} and {HERE}): "
        "choose which on the page Access"
    )


def test_what_is_one_groups_alone_is_not() -> None:
    kept = with_names(PEOPLE)
    assert ambiguity_problem([rule("Natt", HERE, "Ukjend"), rule()], kept) is None
    assert ambiguity_problem([rule("Vakt")], {}) is None
    assert ambiguity_problem([rule("Vakt")], with_names({"a": frozenset({HERE}), "c": frozenset({HERE})})) is None
