"""Steps simulators: reads policies, writes demonstrations and rollouts."""
