"""The hub's signing keys, the signer process, signed lists and passes."""
