"""What this process knows of the pool, how that stays true beside others, and how it is written down."""
