"""Who may pass a door, decided the same way on the hub and at the door: the models and the one function.

It knows neither the hub nor a controller, no clock and no disk, so both run the same code (docs/doors.md).
"""
