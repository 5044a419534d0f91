"""`seatpool ca ...`: the certificate authority, its stores, and what a start needs of it."""
