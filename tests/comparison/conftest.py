"""What the tests of comparisons share: a store a module, and a sweep in it."""

import pytest
from stored_runs import Store, write_sweep


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store") / "mlruns")


@pytest.fixture(scope="module")
def sweep(store: Store) -> list[str]:
    return write_sweep(store)
