"""`seatpool why`: what became of a request, and why it went where it went."""
