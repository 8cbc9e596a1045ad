"""The decisions. Pure: arrays in, plans out; no I/O, no clock."""
