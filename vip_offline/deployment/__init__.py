"""From a policy folder to a robot: reads policies, writes what travels there."""
