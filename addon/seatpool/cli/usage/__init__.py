"""`seatpool usage`: what was used, told in tables, files and pictures."""
