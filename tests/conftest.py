"""What all tests have in common, and how they are spread over workers when there are several."""

import os
import signal
import sys
from typing import Any

import pytest
from hypothesis import settings

from tests.upstream.certs import make_certificates

settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine takes its time
settings.register_profile("explore", max_examples=1_000, deadline=None)
# A run that fails is to fail again for everybody; looking for new examples is a task of its own.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# As on people's machines: what is read as it is said has to be said so.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _real_moments(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first `datetime` that cryptography signs is the only one that it takes for good: let it be the real one."""
    make_certificates(tmp_path_factory.mktemp("certificates"))


def pytest_sessionfinish() -> None:
    """A worker ends without what Python does at the end."""
    postgres = sys.modules.get("tests.harness.postgres")
    if postgres is not None:
        postgres.end_shared()


LONGEST_FIRST = ("faults", "conformance", "clients", "e2e/login", "e2e", "cli", "scripts", "sim", "service")
"""Folders, in the order in which they begin: what takes long is not to be left for the end. The others follow."""
TOGETHER = ("e2e/login", "e2e/authority")
"""Folders whose files share what is dear to make."""


def _place(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


def _rank(item: pytest.Item) -> int:
    place = _place(item.nodeid)
    return next((n for n, folder in enumerate(LONGEST_FIRST) if place.startswith(f"{folder}/")), len(LONGEST_FIRST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker, sort by how long it takes; alone, everything stays in its order."""
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files go to a worker, or whole folders, in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class Spreading(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            place = _place(nodeid)
            return next((folder for folder in TOGETHER if place.startswith(f"{folder}/")), place)

    config.option.loadscopereorder = False  # it would begin with the file that has the most tests
    return Spreading(config, log)
