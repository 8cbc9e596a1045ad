"""Replay of a job trace against signals: policies side by side, with the daemon's own planner."""
