"""People's ids are made with the hub's key."""

from hub.plugin.tables import rename_people, rename_people_within

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    rename_people("directory_person", "id")
    rename_people("directory_presence", "person")
    rename_people_within("directory_reading", "protection", ("disabled", "protected"))
