"""Commands to doors, answers to cards, lockdowns, and other systems."""
