"""The privileged side, deliberately small: job_submit.lua and the helper."""
