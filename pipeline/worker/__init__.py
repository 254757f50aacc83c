"""Runs one job here, with the engine at hand. Needs the standard library, PyYAML, rouge-score and that engine."""
