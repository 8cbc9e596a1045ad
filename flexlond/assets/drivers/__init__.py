"""Drivers of assets behind one port: simulated, Modbus/TCP."""
