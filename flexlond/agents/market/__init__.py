"""Agents on the market: what they offer and promise, and how a promise becomes a window."""
