"""The network: ASGI in, httpx out, DeDi look-ups."""
