"""Policies compared on the same data, in closed loop or by held-out actions."""
