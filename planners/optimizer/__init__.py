"""What to try next, given what has been tried."""
