"""The policy folder and what runs it: reads frames and proprioception, writes actions."""
