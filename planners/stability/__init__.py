"""Which inorganic crystals are stable: candidates, models, hull, active learning."""
