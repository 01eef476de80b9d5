"""How people and their presence are kept."""

from sqlalchemy import JSON, Boolean, Column, Integer, MetaData, String, Table

from hub.plugin.tables import Utc

metadata = MetaData()

person = Table(
    "directory_person",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("unit", String(200), nullable=False),
    Column("title", String(300), nullable=False),
    Column("mail", String(320)),
    Column("phone", String(60)),
    Column("mobile", String(60)),
    Column("tasks", JSON, nullable=False),
    Column("groups", JSON, nullable=False),
)

presence = Table(
    "directory_presence",
    metadata,
    Column("person", String(40), primary_key=True),
    Column("is_in", Boolean, nullable=False),
    Column("since", Utc, nullable=False),
)

reading = Table(
    "directory_reading",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("read_at", Utc, nullable=False),
    Column("protection", JSON),
)
