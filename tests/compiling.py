"""Ways for a module of tests to compile less, and to trace faster."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import pytest
from jaxtyping import config


@contextmanager
def one_device() -> Iterator[None]:
    """Groups of runs are not spread over the pretended devices: that is a larger program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_device_count", lambda *_: 1)
        yield


@contextmanager
def as_users_do() -> Iterator[None]:
    """Shapes are not checked at run time: for programs of users, of which others test each part."""
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", False)
