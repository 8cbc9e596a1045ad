"""What a service says to the machine it runs on (systemd); no Slurm, no network, no decisions."""
