"""People's ids are made with the hub's key."""

from hub.plugin.tables import rename_people, rename_people_within

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    rename_people("locks_person", "id")
    rename_people("locks_credential", "person")
    rename_people_within("locks_rule", "who", ("people",))
