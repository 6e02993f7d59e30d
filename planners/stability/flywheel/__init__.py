"""Active learning: rounds of generate, filter, verify, retrain."""
