"""Numbers of policies that need no simulator, and how often each picked the better policy."""
