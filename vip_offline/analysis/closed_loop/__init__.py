"""Does the reward help? Reads outcomes of rollouts, writes numbers and sentences."""
