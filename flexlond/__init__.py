"""FlexLon: makes a Slurm cluster a grid-flexible energy asset."""
