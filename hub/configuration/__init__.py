"""The configuration file, its mistakes by line, and the data folder."""
