"""A way for a module of tests to compile less."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import pytest


@contextmanager
def one_device() -> Iterator[None]:
    """Groups of runs are not spread over the pretended devices: that is a larger program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_device_count", lambda *_: 1)
        yield
