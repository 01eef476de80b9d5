from tests.directory_server import slapd  # noqa: F401 (the fixture)
