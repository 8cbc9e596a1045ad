"""What may be said when: the life cycle of a contract as one table. Pure."""
