"""The login, its limits, and the password asked for again."""
