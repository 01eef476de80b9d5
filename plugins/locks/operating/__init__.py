"""Commands to doors, access requests, lockdowns, and Home Assistant."""
