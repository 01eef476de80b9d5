"""What a door did and reports, in words: messages for the catalogue."""

from hub.plugin import N_

DONE = {
    "pulse": N_("opened"),
    "hold_open": N_("held open"),
    "lock": N_("locked"),
    "resume": N_("follows its schedule"),
    "lockdown": N_("shut down"),
    "lift_lockdown": N_("no longer shut down"),
}
"""By verb, when the door has said that it is done."""

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
    "clock_wrong": N_("the clock is wrong"),
    "events_missing": N_("events are missing"),
    "journal_rewound": N_("its log is an old copy"),
    "journal_anew": N_("its log was begun anew"),
}
"""By kind of event; the last three are the hub's own finding."""

ALARMS = frozenset(
    {
        "forced_open",
        "held_too_long",
        "too_many_tries",
        "tamper",
        "fire",
        "mains_lost",
        "reader_lost",
        "reader_refused",
        "list_refused",
        "clock_wrong",
        "events_missing",
        "journal_rewound",
        "journal_anew",
    }
)
"""What somebody should look at."""
