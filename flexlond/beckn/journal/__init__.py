"""What is remembered: SQLite, durable before anything is acknowledged."""
