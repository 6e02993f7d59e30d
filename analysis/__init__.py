"""Analysis: from measured patterns to phases, amounts and verdicts."""
