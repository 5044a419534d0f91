"""`seatpool account ...`: who is in the pool, what is brought into it and taken out."""
