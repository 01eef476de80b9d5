"""The configuration file, its mistakes told by line, and the data folder."""
