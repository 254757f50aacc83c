"""What packages without wheels are built with, for either launcher."""

import os
from collections.abc import Mapping

from pipeline.entries import Image, Variant


def build_variables(image: Image, variant: Variant, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The image's build_environment, with the user's own values where the environment has any; none without a build."""
    if not variant.build_packages:
        return {}
    return {name: environment.get(name) or value for name, value in image.build_environment.items()}
