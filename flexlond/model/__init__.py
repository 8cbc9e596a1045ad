"""The nouns. Pure: no I/O, no clock, no asyncio, no logging; time comes in as an argument."""
