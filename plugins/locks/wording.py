"""Translatable texts for verbs, events, alarms and refusals of doors."""

from hub.plugin import N_

DONE = {
    "pulse": N_("opened"),
    "hold_open": N_("held open"),
    "lock": N_("locked"),
    "resume": N_("follows its schedule"),
    "lockdown": N_("shut down"),
    "lift_lockdown": N_("no longer shut down"),
}
"""By verb, for a command whose outcome is "done"."""

HAPPENED = {
    "command_refused": N_("a command was refused"),
    "forced_open": N_("forced open"),
    "exit_button": N_("exit button"),
    "started": N_("controller started"),
    "granted": N_("let in by its list"),
    "denied": N_("turned away at the reader"),
    "not_opened": N_("unlocked, but nobody came"),
    "held_too_long": N_("has stood open too long"),
    "closed_again": N_("closed again"),
    "opened_by_schedule": N_("unlocked by its schedule"),
    "closed_by_schedule": N_("locked by its schedule"),
    "hold_ended": N_("is no longer held open"),
    "list_taken": N_("has a new access list"),
    "list_refused": N_("an access list was refused"),
    "too_many_tries": N_("too many wrong tries at the reader"),
    "tamper": N_("somebody has opened the box"),
    "tamper_over": N_("the box is closed again"),
    "fire": N_("the fire alarm has released the lock"),
    "fire_over": N_("the fire alarm is over"),
    "mains_lost": N_("runs on its battery"),
    "mains_back": N_("has power again"),
    "reader_lost": N_("the reader does not answer"),
    "reader_back": N_("the reader answers again"),
    "reader_refused": N_("a reader without encryption was refused"),
    "clock_wrong": N_("it does not know what time it is"),
    "clock_right": N_("it knows the time again"),
    "events_missing": N_("events are missing"),
    "journal_rewound": N_("its log is an old copy"),
    "journal_anew": N_("its log was begun anew"),
    "duress": N_("somebody was forced to open"),
    "passes_back": N_("the same card came in twice"),
    "battery_low": N_("the battery is low"),
    "away": N_("the door has not answered for a while"),
    "jammed": N_("the lock is jammed"),
}
"""By kind of event; the last ones are findings of the hub itself."""

SUBJECTS: dict[str, str] = {"grave": N_("Alarm"), "warning": N_("Warning")}
"""By an alarm's severity."""

WHY = {
    "pin_wanted": N_("the PIN is missing"),
    "unknown": N_("unknown card or PIN"),
    "not_here": N_("has no access to this door"),
    "not_now": N_("has access, but not at this time"),
    "not_yet": N_("not valid yet"),
    "expired": N_("no longer valid"),
    "wrong_pin": N_("wrong PIN"),
    "lockdown": N_("the door is shut down"),
    "passback": N_("is inside already"),
    "interlock": N_("the other door of the sluice is open"),
    "list_expired": N_("the access list has run out"),
    "clock_wrong": N_("the door did not know what time it was"),
    "revoked": N_("the pass has been revoked"),
    "used": N_("the pass has been used"),
    "no_contact": N_("no contact with the broker"),
    "door_silent": N_("the door does not answer"),
    "no_challenge": N_("the door had not asked for it, or not any more"),
    "not_signed": N_("the signer did not sign"),
    "no_answer": N_("the door got the command and has not said what it did"),
    "hub_restarted": N_("the hub was restarted meanwhile"),
    "bad_signature": N_("the signature is wrong"),
    "other_door": N_("meant for another door"),
    "retained": N_("it lay waiting in the broker"),
    "replayed": N_("used before"),
    "late": N_("it came too late"),
    "malformed": N_("not understood"),
    "unknown_verb": N_("not understood"),
    "hardware_failed": N_("the relay failed"),
}
"""Why something was refused or not done."""
