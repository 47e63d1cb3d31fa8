"""ScenarioNet's pickles: read without running anything of them, and written."""
