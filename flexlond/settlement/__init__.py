"""Proof of what was delivered: meters, baselines, settlement, and the ledger that a stranger can verify."""
