"""What is known: entries, snapshots of databases, and the hull that judges by them."""
