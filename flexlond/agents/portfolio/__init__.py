"""The Flexibility Orchestrator: several sites sold to the grid as one."""
