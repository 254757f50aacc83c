"""What the larger commands of the orchestrator do, each from its arguments to its exit status."""
