"""Meters, baselines, settlement and its evidence: what was delivered, what it is worth, and why that is so."""
