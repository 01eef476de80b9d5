"""What happened at doors: reports, alarms, the log."""
