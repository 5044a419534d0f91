"""What a person's machine needs before the first request."""
