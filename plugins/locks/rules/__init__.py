"""The rule book: who may pass where and when, compiled for each door, with previews of changes."""
