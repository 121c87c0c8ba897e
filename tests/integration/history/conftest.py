"""A recorder for a core, where a test asks for one."""

import logging

import pytest


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Let the recorder be prepared before the core is, and not log each statement."""
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)
