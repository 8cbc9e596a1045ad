"""MUNGE credentials bound to gRPC calls."""
