"""One module per engine, each with `create(setup: Setup) -> Backend`. Only these modules import an engine."""
