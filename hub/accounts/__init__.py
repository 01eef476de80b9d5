"""People who log in, their sessions, and the tokens of programs."""
