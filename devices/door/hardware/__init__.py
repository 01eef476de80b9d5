"""The hardware interface of a door, and a simulation of it."""
