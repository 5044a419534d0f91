"""`seatpool doctor`: what is wrong on this machine, and the commands that mend it."""
