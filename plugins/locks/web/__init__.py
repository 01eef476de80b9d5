"""The console's pages: doors, rules, keys, passes, passages, floor plans and hub keys."""
