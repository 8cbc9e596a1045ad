"""The demo's own programs; they run in the controller's container with the product's Python.

Law: the demo uses the product as a person would (sbatch, sacct, flexlonctl, the configuration file) and
takes no number from itself that Slurm or the product can give. It changes nothing in the product's place.
"""
