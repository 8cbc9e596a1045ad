"""Assets beside the jobs: plant models, their dispatch, and the drivers that read and set them."""
