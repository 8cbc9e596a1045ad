"""Reading Slurm and talking to the privileged helper."""
