"""Images and containers on this machine's Docker engine."""
