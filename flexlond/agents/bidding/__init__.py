"""A site that bids into needs that grids publish: it is the BAP there, and sells all the same."""
