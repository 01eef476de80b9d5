"""What the pages say in numbers is what the code does: a constant that changes without its sentence is red here."""

import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from devices.contract import alive, door
from devices.contract.payload import MAX_PAYLOAD_BYTES
from devices.door.deciding import flood, tries
from devices.door.memory import journal, recorder
from devices.door.readers import keypad, osdp, osdp_line, qr
from hub import hub
from hub.accounts import accounts
from hub.api.serving import OPERATION_SECONDS
from hub.broker import mosquitto as broker
from hub.broker import tls
from hub.console.login import limits as login_limits
from hub.console.pairing import pages as pairing_pages
from hub.devices import mqtt
from hub.entities import discovery, orders, topics
from hub.entities.templating import depth, templates
from hub.entities.templating import meter as template_meter
from hub.hooks import guard, watchdog
from hub.hosting import host as plugin_host
from hub.hosting import lifecycle as plugin_lifecycle
from hub.plugin import store as plugin_store
from hub.store import events, store
from plugins.directory import service as directory
from plugins.locks.operating import service as locks
from plugins.locks.trust import passes, signer
from plugins.notify import sending

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent
WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def word(number: float) -> str:
    """`five`, as prose has small numbers."""
    return WORDS[int(number)]


def spaced(number: float) -> str:
    """`32 768`."""
    return f"{int(number):,}".replace(",", " ")


def doubling(first: float, *, times: int = 3) -> str:
    """`5, 10, 20`."""
    return ", ".join(f"{first * 2**n:g}" for n in range(times))


def minutes(value: float | timedelta) -> str:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return f"{seconds / 60:g}"


def hours(value: timedelta) -> str:
    return f"{value / timedelta(hours=1):g}"


def milliseconds(constant: str, file: str) -> int:
    """A constant of the kiosk's TypeScript."""
    found = re.search(rf"const {constant} = ([\d_]+);", (ROOT / file).read_text())
    assert found is not None, constant
    return int(found[1].replace("_", ""))


OUTBOX = "devices/kiosk/outbox.ts"
KIOSK_FIRST, KIOSK_LONGEST = (milliseconds(name, OUTBOX) // 1000 for name in ("SHORTEST_WAIT_MS", "LONGEST_WAIT_MS"))

STATED = {
    "plugins.md": [
        f"the broker may still be away. It has {plugin_lifecycle.START_SECONDS} seconds,",
        f"have been cancelled then, and it has {plugin_lifecycle.STOP_SECONDS} seconds.",
        f"gets its acknowledgement then. You have {mqtt.HANDLER_SECONDS} seconds.",
        f"takes more than {mqtt.HANDLER_SECONDS} seconds**",
        f"`PayloadTooLargeError` above {spaced(MAX_PAYLOAD_BYTES)} bytes",
        f"growing waits (up to {minutes(events.MAX_WAIT_SECONDS)} minutes, for a day)",
        (
            f"started again after {doubling(plugin_lifecycle.FIRST_RETRY_SECONDS)} s … "
            f"{minutes(plugin_lifecycle.LONGEST_RETRY_SECONDS)} min, until it does."
        ),
        (
            f"It is started again after {doubling(plugin_lifecycle.FIRST_RETRY_SECONDS)} s … "
            f"{minutes(plugin_lifecycle.LONGEST_RETRY_SECONDS)} min, and IT"
        ),
        f"An operation that runs into its {OPERATION_SECONDS} seconds counts",
        f"It starts again after 1 s, 2 s, … {plugin_host.LONGEST_WAIT_SECONDS:g} s.",
        f"for more than {watchdog.BLOCKED_SECONDS} s in one step",
        f"and after {plugin_host.STEP_SECONDS:g} s throws an interrupt",
        f"(`asyncio.create_task`) end with the plugin; {guard.MAX_TASKS} at once are a leak.",
        (
            f"may publish {mqtt.SENDS_PER_SECOND:g} messages a second, {mqtt.SEND_BURST:g} and "
            f"{word(mqtt.SENDS_PER_DEVICE)} for each device at once, and {word(mqtt.SENDS_PER_MESSAGE)} for each message"
        ),
        f"{word(plugin_store.MAX_QUEUED_WRITES).capitalize()} writes stand in the store's queue",
        f"A device may say {mqtt.MAX_DEVICE_MESSAGES} messages a second",
        (
            f"{word(plugin_host.MAX_FAILURES).capitalize()} failures within a minute, "
            f"{word(plugin_host.MAX_FAILURES_IN_A_ROW)} in a row at one place with less than "
            f"{word(plugin_host.ROW_WITHIN_SECONDS / 60)} minutes between them, or {word(plugin_host.MAX_BLOCKS)} "
            f"interrupts within {word(plugin_host.BLOCKS_WITHIN_SECONDS / 60)} minutes"
        ),
    ],
    "architecture.md": [
        f"committed together, up to {store.MAX_BATCH} pieces of work",
        f"Reading has {word(store.READERS)} threads.",
        f"*parked*: tried again after {doubling(2 * events.FIRST_WAIT_SECONDS)} … {events.MAX_WAIT_SECONDS:g} s",
        f"With {events.MAX_PARKED_SUBJECTS} subjects parked",
        f"{word(plugin_host.MAX_FAILURES).capitalize()} failures within a minute",
        f"that hold it for {watchdog.BLOCKED_SECONDS} s, and interrupts it after {plugin_host.STEP_SECONDS:g} s",
        f"ends after {minutes(accounts.MAX_IDLE)} idle minutes or {hours(accounts.MAX_AGE)} hours",
        f"It tries again after {doubling(directory.FIRST_RETRY_SECONDS)} s …",
        f"tries the server again after {sending.FIRST_WAIT.seconds} s and then ever longer up to a minute",
        f"by itself, up to every {minutes(sending.LONGEST_WAIT)} minutes",
        f"After {sending.LATE_SECONDS:g} s at most the desk's page",
    ],
    "mqtt.md": [
        f"What the hub sends has at most {spaced(MAX_PAYLOAD_BYTES)} bytes",
        (
            f"after {doubling(KIOSK_FIRST, times=4)}, {KIOSK_LONGEST} … s (kiosk) or every {door.RESEND_SECONDS} s, "
            f"oldest first, {door.RESEND_BATCH} at a time (door)"
        ),
        f"| every {alive.HEARTBEAT_SECONDS} s |",
        f"has said nothing for {alive.DEADLINE_SECONDS} s is away",
        f"is not there within {alive.DEADLINE_SECONDS} s.",
        f"sealed for this door; at most {door.MAX_LIST_BYTES // 1000} kB",
        f"at every change and every {door.STATE_SECONDS} s",
        f"good once, for {door.COMMAND_SECONDS:g} s",
        f"`pulse_ms`: at most {spaced(door.MAX_PULSE_MS)}",
        f"`hold_seconds`: at most {spaced(door.MAX_HOLD_SECONDS)}",
        f"None within {door.COMMAND_SECONDS:g} s: the command ends as **refused**",
        f"not ended, at most {signer.OLDEST.seconds} s old",
        f"checks that it is at most {door.COMMAND_SECONDS:g} s old",
        f"No outcome within {locks.OUTCOME_SECONDS:g} s: **unknown**",
        f"Later than {door.ANSWER_SECONDS} s the door has decided",
        f"oldest first, {door.RESEND_BATCH} at a time, and again after {door.RESEND_SECONDS} s",
        f"older than {door.CONFIRMED_SECONDS} s is shown as unknown",
        f"{word(flood.BURST)} events go out at once and one more every {flood.REFILL_SECONDS:g} s",
        (
            f"{templates.LONGEST_TEMPLATE // 1024} kB each and {discovery.MAX_TEMPLATE_CHARACTERS // 1024} kB in an announcement, "
            f"{template_meter.RENDER_SECONDS * 1000:g} ms, {spaced(template_meter.MAX_ITEMS)} turns and items, "
            f"{templates.LONGEST_RESULT // 1024} kB of result"
        ),
        (
            f"cost more than {topics.TOPIC_SECONDS} s within {topics.REST_SECONDS:g} s rests for {topics.REST_SECONDS:g} s, "
            f"and all costly topics together have {topics.ALL_SECONDS} s"
        ),
        f"at most {depth.MAX_LEVELS} objects and lists in one another",
        f"Orders carry an expiry of {orders.EXPIRY_SECONDS} s",
        f"QoS 0 while {spaced(mqtt.MAX_CONCURRENT)} messages are being worked on",
    ],
    "doors.md": [
        f"It answers within {door.ANSWER_SECONDS} s or the door decides alone",
        f"in the first {mqtt.SETTLING_SECONDS} s of a connection",
        (
            f"After {word(tries.FREE_TRIES)} wrong tries within {minutes(tries.WITHIN_SECONDS)} minutes nothing is taken at "
            f"that reader for {tries.FIRST_WAIT_SECONDS:g} s, then twice as long with each further try, up to "
            f"{minutes(tries.LONGEST_WAIT_SECONDS)} minutes"
        ),
        f"shown at most {door.PIN_SECONDS:g} s before it",
        f"at most {door.MAX_HOLD_SECONDS // 3600} hours, and does not outlive a restart",
        f"at least {spaced(journal.QUOTAS['granted'])} events are kept",
        f"a card or {word(keypad.SILENCE_SECONDS)} seconds of silence clear it",
        f"at most {qr.MAX_CHARACTERS} characters; others are dropped",
        f"tried again every {word(osdp_line.AGAIN_SECONDS)} seconds",
        f"says nothing for {word(osdp.ALIVE_SECONDS)} seconds",
        f"given more than {minutes(accounts.CONFIRMED_FOR)} minutes ago",
        f"a time of {passes.LONGEST.days} days at most",
    ],
    "configuration.md": [
        f"The server's certificate lasts {tls.SERVER_DAYS} days",
        f"the limit of {pairing_pages.REQUESTS_PER_MINUTE} new pairing codes a minute",
        f"({login_limits.PER_ADDRESS} a minute for each address, {login_limits.TRIES} for each name)",
    ],
}


@cache
def page(name: str) -> str:
    return re.sub(r"\s+", " ", (DOCS / name).read_text())


@pytest.mark.parametrize(("name", "sentence"), [(name, each) for name, some in STATED.items() for each in some])
def test_a_page_says_what_the_code_does(name: str, sentence: str) -> None:
    assert sentence in page(name), f"docs/{name} says something else than: {sentence}"


def test_numbers_that_the_pages_have_in_words() -> None:
    assert hub.STORE_TRY_SECONDS == 0.5, "architecture.md: a small write twice a second"
    assert hub.SESSION_SECONDS == 3600, "architecture.md: the session outlives it for an hour"
    assert recorder.WRITE_SECONDS == 1, "doors.md: a disk that takes longer than a second"
    assert (plugin_host.REDUCED_TIME, plugin_host.SLOW_SECONDS) == (0.1, 60), "plugins.md: a tenth for a minute"
    assert timedelta(days=1) == events.ABANDON_AFTER, "plugins.md, architecture.md: for a day"
    assert broker.LONGEST_WAIT_SECONDS > 0.2, "architecture.md: after 0.2 s, longer each time"
    assert timedelta(minutes=1) == sending.LONGEST_CHANNEL_WAIT, "architecture.md: up to a minute"
