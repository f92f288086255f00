"""Fixtures of the tests of augmentation."""

import pytest


@pytest.fixture
def compose(option):
    """Gives a policy of the listed steps."""
    return lambda *steps: option("augment", "compose", steps=steps)
