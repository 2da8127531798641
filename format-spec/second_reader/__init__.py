"""The second reader of the format: see read_vectors.py. Nothing is shared with the engine."""
