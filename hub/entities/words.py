"""Names of states, entities and orders for people, by component and device class, as translatable messages."""

from hub.entities.entity import Entity
from hub.language.translation import N_

STATES = {
    "closed": N_("closed"),
    "closing": N_("closing"),
    "jammed": N_("jammed"),
    "locked": N_("locked"),
    "locking": N_("locking"),
    "off": N_("off"),
    "on": N_("on"),
    "open": N_("open"),
    "opening": N_("opening"),
    "unlocked": N_("unlocked"),
    "unlocking": N_("unlocking"),
}
SENSED = {
    "battery": (N_("low battery"), N_("battery fine")),
    "connectivity": (N_("in contact"), N_("no contact")),
    "door": (N_("open"), N_("closed")),
    "garage_door": (N_("open"), N_("closed")),
    "lock": (N_("unlocked"), N_("locked")),
    "moisture": (N_("wet"), N_("dry")),
    "motion": (N_("motion"), N_("no motion")),
    "occupancy": (N_("somebody there"), N_("nobody there")),
    "opening": (N_("open"), N_("closed")),
    "problem": (N_("problem"), N_("no problem")),
    "smoke": (N_("smoke"), N_("no smoke")),
    "tamper": (N_("tampered with"), N_("not tampered with")),
    "window": (N_("open"), N_("closed")),
}
"""The meaning of a binary sensor's on and off, by device class."""
CLASSES = {
    "battery": N_("Battery"),
    "carbon_dioxide": N_("CO2"),
    "door": N_("Door"),
    "energy": N_("Energy"),
    "garage_door": N_("Garage door"),
    "humidity": N_("Humidity"),
    "illuminance": N_("Light"),
    "moisture": N_("Moisture"),
    "motion": N_("Motion"),
    "occupancy": N_("Presence in the room"),
    "power": N_("Power"),
    "pressure": N_("Air pressure"),
    "signal_strength": N_("Signal"),
    "smoke": N_("Smoke"),
    "temperature": N_("Temperature"),
    "window": N_("Window"),
}
"""The name of an entity without a name of its own, by device class."""
UPDATE = (N_("a newer version"), N_("newest version"))
VERBS = {
    "close": N_("Close"),
    "install": N_("Install"),
    "lock": N_("Lock"),
    "off": N_("Switch off"),
    "on": N_("Switch on"),
    "open": N_("Open"),
    "press": N_("Press"),
    "set": N_("Set"),
    "set_position": N_("Set"),
    "stop": N_("Stop"),
    "unlock": N_("Unlock"),
}


def name_of(entity: Entity) -> str:
    """The message for its name; the device's own name if it has one."""
    return entity.config.name or CLASSES.get(entity.config.device_class or "") or entity.name


def message_of(entity: Entity, state: str) -> str:
    """The message for a state; the state itself if it is the device's own text."""
    if state in ("on", "off"):
        pair = UPDATE if entity.component == "update" else SENSED.get(entity.config.device_class or "")
        if pair is not None and entity.component in ("binary_sensor", "update"):
            return pair[state == "off"]
    if entity.component in ("sensor", "text", "select", "event", "device_automation"):
        return state
    return STATES.get(state, state)
