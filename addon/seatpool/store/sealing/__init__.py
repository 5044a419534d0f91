"""The key that seals the credentials: where it lives, how it changes, how it travels."""
