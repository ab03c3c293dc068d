"""For all tests: a compile cache of the session's own, so that no test sees what an earlier session compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VMC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("VMC_CACHE", raising=False)
        yield
