"""The console's pages of doors: all of them, one, who may pass, and what they are let in by."""
