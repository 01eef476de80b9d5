"""The store: writing and reading, tables and migrations, the event log, the audit log, what pages are told."""
