"""One participant without a network: arrivals to replies, requests to the outbox."""
