"""The world that the simulated devices share: matter, places, heat, chemistry, X-rays."""
