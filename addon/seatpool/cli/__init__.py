"""`seatpool ...`: arguments in, tables out. The only place that prints."""
