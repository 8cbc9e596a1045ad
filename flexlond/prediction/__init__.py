"""What a job will take, learned from what like jobs took: runtime and power, each with its uncertainty."""
