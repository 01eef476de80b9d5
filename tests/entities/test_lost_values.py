"""What a device says when it does not know is unknown here, and never what it said before."""

from hub.hub import Hub
from tests.conftest import until
from tests.entities.conftest import announce, say

DEVICE = {"ids": "x", "name": "X"}
NO_WORDS = ("undefined", "uncalibrated", "254", "None", "nan", "not_fully_locked", "LOCK")
LOST = ("nan", "NaN", "-nan", "inf", "-Infinity")
GOOD = [
    ("sensor", {"unit_of_meas": "lx"}, "120", 120),
    ("sensor", {}, "ute", "ute"),
    ("sensor", {"unit_of_meas": "lx", "val_tpl": "{{ value_json.lux }}"}, '{"lux": 120}', 120),
    ("number", {"cmd_t": "x/set", "min": 0, "max": 200}, "120", 120),
    ("binary_sensor", {}, "ON", "on"),
    ("switch", {"cmd_t": "x/set"}, "ON", "on"),
    ("cover", {"cmd_t": "x/set"}, "open", "open"),
]


async def becomes(hub: Hub, entity: str, state: object) -> None:
    await until(lambda: (found := hub.entities.get(entity)) is not None and found.state == state)


async def test_a_lock_that_does_not_know_is_not_locked(hub: Hub) -> None:
    lock = announce(hub, "lock", "l", cmd_t="l/set", stat_t="l/s", dev=DEVICE)
    say(hub, "l/s", "LOCKED")
    await becomes(hub, lock, "locked")
    for word in NO_WORDS:
        say(hub, "l/s", "LOCKED", retain=False)
        await becomes(hub, lock, "locked")
        say(hub, "l/s", word, retain=False)
        await becomes(hub, lock, None)
    say(hub, "l/s", "UNLOCKED", retain=False)
    say(hub, "l/s", "", retain=False)  # says nothing of it
    await becomes(hub, lock, "unlocked")


async def test_a_lost_value_is_unknown(hub: Hub) -> None:
    for number, (component, config, good, state) in enumerate(GOOD):
        topic = f"x/{number}"
        entity = announce(hub, component, f"x{number}", stat_t=topic, dev=DEVICE, **config)
        say(hub, topic, good)
        await becomes(hub, entity, state)
        for lost in ('{"lux": NaN}',) if "val_tpl" in config else LOST:
            say(hub, topic, good, retain=False)
            await becomes(hub, entity, state)
            say(hub, topic, lost, retain=False)
            await becomes(hub, entity, None)
