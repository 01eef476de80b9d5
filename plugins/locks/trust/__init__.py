"""The hub's key and its process, the signed lists and passes."""
