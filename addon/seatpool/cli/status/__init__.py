"""`seatpool status` and `seatpool cooldown`: how the pool stands, once or for as long as one looks."""
