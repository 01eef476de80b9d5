"""Mosquitto as a child process, and the accounts of any broker."""
