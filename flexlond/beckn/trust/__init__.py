"""Who said it: signatures, keys, the registry. Pure but for the port."""
