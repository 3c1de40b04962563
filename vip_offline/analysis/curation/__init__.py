"""Which episodes and rows of a data set the reward finds wanting, and why."""
