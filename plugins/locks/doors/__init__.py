"""How doors are, and the messages between them and the hub."""
