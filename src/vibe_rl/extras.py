"""Optional packages: imported when needed, or an error that says how to install them."""

from importlib import import_module
from types import ModuleType

from vibe_rl.errors import ConfigError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """The module of an optional package; ConfigError if it is not installed.

    Args:
        module: such as `gymnasium.vector`.
        extra: the library's extra that brings it, such as `gym`.
        purpose: what needs it, a plural.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigError(f"{purpose} need {package}: pip install 'vibe-rl[{extra}]'.") from error
