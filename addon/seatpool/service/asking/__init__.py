"""What issuers are asked about accounts while nobody's request waits for it."""
