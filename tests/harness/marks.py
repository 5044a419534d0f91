"""Conditions under which tests are skipped, each with its reason."""

import pytest

from tests.harness.namespace import why_no_namespaces

needs_namespaces = pytest.mark.skipif(
    why_no_namespaces() is not None, reason=f"no private namespaces: {why_no_namespaces()}"
)
