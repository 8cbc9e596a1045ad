"""The exact solver in a process of its own, which may die without harm."""
