"""What all tests have in common."""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", max_examples=1_000, deadline=None)
# A run that fails is to fail again for everybody; looking for new examples is a task of its own.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
