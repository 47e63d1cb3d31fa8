"""What the tests of a checkout compile is kept for its next session, in `build/`."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "programs_of_tests"
MOST_BYTES = 2e9
"""Of the folder; what is more begins anew, as programs of older versions stay."""


def keep_programs(cache: Path) -> None:
    """Makes a cache of programs, which is not there yet, a link to what earlier sessions filled.

    Its programs are found by what they compute and by the compiler: no change makes them wrong.
    """
    kept = FOLDER / cache.name
    try:
        kept.mkdir(parents=True, exist_ok=True)
        if sum(file.stat().st_size for file in kept.iterdir()) > MOST_BYTES:
            for file in kept.iterdir():  # the folder stays: another session may write there
                file.unlink(missing_ok=True)
    except OSError:  # a checkout that is only to be read
        return
    cache.parent.mkdir(parents=True)
    cache.symlink_to(kept, target_is_directory=True)
