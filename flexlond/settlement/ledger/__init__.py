"""The ledger: an append-only record with a hash chain, an RFC 6962 Merkle tree and signed checkpoints.

merkle, note, checkpoint, entry and problem are pure; database, reader, writer, upkeep, verify and recorder
have the file; standalone is the verifier for strangers and imports nothing of ours.
"""
