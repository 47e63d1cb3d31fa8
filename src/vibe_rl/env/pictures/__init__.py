"""Pictures of environments: drawn with NumPy, or made of a terminal's cells."""
