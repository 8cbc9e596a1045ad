"""FlexLon: makes a Slurm cluster a grid-flexible energy asset."""

__version__ = "0.1.0"
