"""A PostgreSQL server of our own, from Debian's package, on a free port."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import psycopg

UNSAFE = ("fsync", "full_page_writes")
"""What is killed here is the hub, never the machine: nothing of PostgreSQL's own is lost without them."""


class Postgres:
    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.template: str | None = None

    def start(self) -> None:
        data = self._folder / "data"
        if os.geteuid() == 0:  # PostgreSQL refuses root
            self._folder.chmod(0o755)
            shutil.chown(self._folder, "postgres")
        subprocess.run(
            [*self._as_postgres(), self._programs / "initdb", "-D", data, "-U", "kommunevert", "--auth=trust", "-E", "UTF8"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        self.serve()

    def serve(self) -> None:
        """Start it, or start it again on what it has; returns when it answers."""
        data = self._folder / "data"
        options = [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self._folder}",
            "-p",
            str(self._port),
            *(option for name in UNSAFE for option in ("-c", f"{name}=off")),
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._as_postgres(), self._programs / "postgres", "-D", data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self._url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """As a package's upgrade does: connections are cut, what is committed stays."""
        if self._process is not None and self._process.poll() is None:
            os.kill(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
            self._process.wait()

    def new_database(self, *, is_empty: bool = False) -> str:
        """Like the template where there is one; its address for SQLAlchemy."""
        template = "" if is_empty or self.template is None else f" TEMPLATE {self.template}"
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{template}")
        return f"postgresql+psycopg://kommunevert@127.0.0.1:{self._port}/{name}"

    def _url(self, database: str) -> str:
        return f"postgresql://kommunevert@127.0.0.1:{self._port}/{database}"

    def _as_postgres(self) -> list[str]:
        return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
