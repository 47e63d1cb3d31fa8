"""Lines that tell of a choice which nobody made in so many words."""

import logging
from functools import cache

from vibe_rl.system.processes import is_first


@cache
def say_once(text: str) -> None:
    """Logs the line as a warning of the logger "vibe_rl", once in this process."""
    if is_first():
        logging.getLogger("vibe_rl").warning(text)
