"""Configuration, composition root, store, admin service, systemd."""
