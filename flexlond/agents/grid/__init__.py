"""The Grid Orchestrator: from stress on the grid to flexibility bought, watched and rated."""
