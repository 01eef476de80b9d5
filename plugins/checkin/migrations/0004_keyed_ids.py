"""People's ids are made with the hub's key."""

from hub.plugin.tables import rename_people

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    rename_people("checkin_visit", "host")
