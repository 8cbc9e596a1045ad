"""What is said: messages, attribute packs, strict JSON. Pure."""
