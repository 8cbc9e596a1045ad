"""The commands flexlond and flexlonctl."""
