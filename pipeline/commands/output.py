"""What a command prints for another program to read."""

import json
from typing import Any


def print_json(value: Any) -> None:
    """On standard output, for another program to read. In ASCII, so that it does nothing to a terminal either."""
    print(json.dumps(value, indent=2))
