"""Make employees.ldif: the invented employees of Fjordvik, an invented municipality.

    python config/demo/make_employees.py          writes employees.ldif beside this file
    python config/demo/make_employees.py --check  exit code 1 when the file is not what this makes

The same every time: names are drawn with a fixed seed, the work is in employee_work.py. Telephone numbers
begin with 00 after +47, where no Norwegian number begins; `.example` can belong to nobody (RFC 2606). No
passwords: who needs one gives it to the directory.
"""

import argparse
import sys
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from employee_work import GROUPS, UNITS, Unit

BASE = "dc=fjordvik,dc=example"
FILE = Path(__file__).with_name("employees.ldif")
DISABLED = 6
HAS_MOBILE = 0.45

# Given names and surnames by where a family is from; the number is how often of 100.
FIRST = {
    "norsk": (
        72,
        (
            "Åse Øystein Torbjørn Ingebjørg Sjur Gunnhild Håkon Solveig Eirik Ragnhild Magne Sigrid Kåre "
            "Bjørg Olav Marit Leiv Turid Arne Synnøve Jostein Randi Terje Hilde Svein Anne Geir Astrid "
            "Knut Borghild Njål Aud Trygve Liv Asbjørn Kjersti Oddvar Jorunn Vidar Signe Sondre Ingrid "
            "Vegard Tuva Eivind Frøydis Steinar Målfrid Lars Brita Anders Øyvor Even Maja Jørgen Nora "
            "Mathias Emma Håvard Thea Anne-Marie Per-Arne Kari-Anne Odd-Bjørn Liv-Torill Jan-Erik"
        ),
        (
            "Fjordås Lundevik Øvrebø Sæle Hjelmeland Åmdal Bergset Nesheim Kvåle Strømsnes Haugland Tveit "
            "Aarvik Seljeset Myklebust Førde Grønnevik Nybø Vågane Eikås Løland Helgesen Bruåsen Hovland "
            "Sandvik Opheim Dale Årdal Solheim Kleppe Lægreid Hauge Røyrvik Støfring Gjerde Bakke "
            "Steinsvåg Indrebø Ødegård Holsen Sæle-Hovland Tveit-Nybø"
        ),
    ),
    "samisk": (
        6,
        "Áile Máret Niillas Ánte Biret Jovnna Sunná",
        "Gáldu Sárá Joks Vuolab Eira-Guttorm Näkkäläjärvi",
    ),
    "polsk": (
        7,
        "Agnieszka Paweł Małgorzata Łukasz Katarzyna Grzegorz Żaneta",
        "Nowak Kowalczyk Dąbrowski Zieliński Wójcik Król",
    ),
    "ukrainsk": (
        6,
        "Oksana Andrij Nataliia Jurij Myroslava Taras",
        "Kovalenko Shevchuk Bondarenko Tkachenko Melnyk",
    ),
    "arabisk": (
        6,
        "Fatima Yusuf Amal Khalid Noor Ibrahim Layla",
        "Al-Khatib Haddad Ben_Salah El-Amrani Mansour",
    ),
    "eritreisk": (
        3,
        "Hiwet Tesfaye Selam Yonas",
        "Gebremedhin Tekle Haile",
    ),
}


@dataclass(frozen=True)
class Employee:
    number: int
    unit: Unit
    title: str
    tasks: tuple[str, ...]
    given: str = ""
    sn: str = ""
    uid: str = ""
    mail: str = ""
    telephone: str | None = None
    mobile: str | None = None
    disabled: bool = False

    @property
    def cn(self) -> str:
        return f"{self.given} {self.sn}"

    @property
    def dn(self) -> str:
        return f"uid={self.uid},ou=personar,{BASE}"


def plain(name: str) -> str:
    """For account names: å → a, ø → o, Łukasz → lukasz, double names in one."""
    name = name.lower().translate(str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "đ": "d", "ŧ": "t"}))
    return "".join(c for c in unicodedata.normalize("NFKD", name) if c.isascii() and c.isalpha())


def surnames(listed: str) -> list[str]:
    """`_` stands for the space in a name of two words."""
    return [name.replace("_", " ") for name in listed.split()]


def employees() -> list[Employee]:
    random = Random(5912)
    made: list[Employee] = []
    names: set[str] = set()
    uids: set[str] = set()
    work = [(unit, *one, desk) for unit in UNITS for desk, one in enumerate(unit.work, 1)]
    for place, (unit, title, tasks, desk) in enumerate(work):
        given, sn = _name(random, names)
        if place == len(work) - 1:
            given, sn = made[3].given, made[3].sn  # two people of one name, in different units
        again = "2" if f"{given} {sn}" in names else ""
        names.add(f"{given} {sn}")
        uid = _uid(given, sn, uids)
        person = Employee(
            number=10_200 + place * 3,
            unit=unit,
            title=title,
            tasks=tasks,
            given=given,
            sn=sn,
            uid=uid,
            telephone=f"+47 00 {unit.number // 100:02} {unit.number % 100:02} {desk:02}",
            mail=f"{plain(given)}.{plain(sn)}{again}@fjordvik.example",
            mobile=f"+47 00 9{random.randint(0, 9)} {random.randint(0, 99):02} {place % 100:02}"
            if random.random() < HAS_MOBILE
            else None,
        )
        made.append(person)
    made[57] = replace(made[57], telephone=None, mobile=None)  # nobody's telephone
    in_a_group = {title for _, titles in GROUPS.values() for title in titles}
    others = [place for place, one in enumerate(made) if one.title not in in_a_group]
    for place in random.sample(others[10:-1], DISABLED):
        made[place] = replace(made[place], disabled=True, mobile=None)
    return made


def _name(random: Random, taken: set[str]) -> tuple[str, str]:
    while True:
        origin = random.choices(list(FIRST), [share for share, _, _ in FIRST.values()])[0]
        _, given, listed = FIRST[origin]
        name = random.choice(given.split()), random.choice(surnames(listed))
        if " ".join(name) not in taken:
            return name


def _uid(given: str, sn: str, taken: set[str]) -> str:
    """Three letters of each name and a number where that is taken, as a payroll system would."""
    stem = plain(given)[:3] + plain(sn)[:3]
    number = 1
    while (uid := f"{stem}{number if number > 1 else ''}") in taken:
        number += 1
    taken.add(uid)
    return uid


def entries(people: list[Employee]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each entry as its DN and attributes, parents first."""
    yield (
        BASE,
        [
            ("objectClass", "dcObject"),
            ("objectClass", "organization"),
            ("dc", "fjordvik"),
            ("o", "Fjordvik kommune"),
        ],
    )
    for ou, about in (
        ("einingar", "Einingane i kommunen"),
        ("personar", "Dei tilsette"),
        ("grupper", "Kven som har kva rolle i Kommunevert"),
    ):
        yield f"ou={ou},{BASE}", [("objectClass", "organizationalUnit"), ("ou", ou), ("description", about)]
    for unit in UNITS:
        yield (
            f"ou={unit.name},ou=einingar,{BASE}",
            [
                ("objectClass", "organizationalUnit"),
                ("ou", unit.name),
                ("description", unit.about),
                ("telephoneNumber", f"+47 00 {unit.number // 100:02} {unit.number % 100:02} 00"),
            ],
        )
    for person in people:
        yield person.dn, list(_person(person))
    for group, (about, titles) in GROUPS.items():
        members = [("member", person.dn) for person in people if person.title in titles]
        yield (
            f"cn={group},ou=grupper,{BASE}",
            [("objectClass", "groupOfNames"), ("cn", group), ("description", about), *members],
        )


def _person(person: Employee) -> Iterator[tuple[str, str]]:
    yield "objectClass", "inetOrgPerson"
    yield "uid", person.uid
    yield "cn", person.cn
    yield "sn", person.sn
    yield "givenName", person.given
    yield "displayName", person.cn
    yield "mail", person.mail
    if person.telephone:
        yield "telephoneNumber", person.telephone
    if person.mobile:
        yield "mobile", person.mobile
    yield "title", person.title
    yield "ou", person.unit.name
    yield "departmentNumber", str(person.unit.number)
    for task in person.tasks:
        yield "businessCategory", task
    yield "employeeNumber", str(person.number)
    yield "employeeType", "disabled" if person.disabled else "active"


def line(name: str, value: str) -> str:
    """One line of LDIF (RFC 2849): Base64 for what is not plain ASCII. Lines are not folded."""
    safe = value.isascii() and value.isprintable() and value[:1] not in {" ", ":", "<"} and value[-1:] != " "
    return f"{name}: {value}" if safe else f"{name}:: {b64encode(value.encode()).decode()}"


def text(people: list[Employee]) -> str:
    blocks = []
    for dn, attributes in entries(people):
        readable = [] if dn.isascii() else [f"# {unicodedata.normalize('NFC', dn)}"]
        blocks.append("\n".join([*readable, line("dn", dn), *(line(*one) for one in attributes)]))
    # Without the line "version: 1": slapadd takes it for an attribute.
    return "# Made by make_employees.py. Nobody here exists.\n" + "\n\n".join(blocks) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    made = text(employees())
    if not parser.parse_args().check:
        FILE.write_text(made)
        return 0
    if FILE.exists() and FILE.read_text() == made:
        return 0
    sys.stderr.write(f"{FILE.name} is not what {Path(__file__).name} makes: run it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
