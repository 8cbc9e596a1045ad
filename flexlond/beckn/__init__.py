"""The Beckn protocol: wire, trust, contract, journal, node, HTTP (docs/explanation/beckn.md)."""
