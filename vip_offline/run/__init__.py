"""Steps environments: reads policies, writes demonstrations, rollouts and comparisons."""
