"""`seatpool uninstall`: everything that seatpool has put on this machine is taken back."""
