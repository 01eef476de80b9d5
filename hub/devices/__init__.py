"""Devices: the registry, their accounts, their absences, and the messages between them and the hub."""
