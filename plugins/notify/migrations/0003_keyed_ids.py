"""People's ids are made with the hub's key."""

from hub.plugin.tables import rename_people

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    rename_people("notify_message", "person")
