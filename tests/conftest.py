"""For all tests: the same generated examples in every run, and a compile cache that no earlier session has filled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("vmc", deadline=None, derandomize=True)
settings.load_profile("vmc")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VMC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("VMC_CACHE", raising=False)
        yield
