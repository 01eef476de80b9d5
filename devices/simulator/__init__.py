"""What stands in for the world outside in demo and tests: a mailbox, and fleets of devices."""
