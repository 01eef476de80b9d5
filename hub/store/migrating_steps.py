"""Runs a due migration with Alembic."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.store.trouble import NewerSchemaError


def take_steps(connection: Connection, owner: str, version_table: str, folder: Path, data: Path) -> None:
    """Migrate to the newest revision. Raises NewerSchemaError."""
    config = Config()
    config.attributes["data"] = data
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    at = MigrationContext.configure(connection, opts={"version_table": version_table}).get_current_revision()
    if at is not None and at not in {revision.revision for revision in script.walk_revisions()}:
        raise NewerSchemaError(f"the tables of {owner} are at revision {at}, which this version does not know")
    if at == script.get_current_head():
        return

    def steps(current: object, _context: MigrationContext) -> list[RevisionStep]:
        return script._upgrade_revs("head", current)  # type: ignore[arg-type]  # noqa: SLF001 (as alembic.command does)

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=version_table, transactional_ddl=False)
        environment.run_migrations()
