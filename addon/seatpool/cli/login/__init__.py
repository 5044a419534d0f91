"""`seatpool login ...`: one sign-in, from what is asked for to the row in the database."""
