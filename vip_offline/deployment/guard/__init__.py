"""Between a policy's actions and a robot: reads observations and actions, writes safe ones."""
