"""Who said it: signatures, keys, the registry. Pure but for reading key files and the trust file."""
