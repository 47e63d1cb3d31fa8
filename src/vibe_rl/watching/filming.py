"""Films of episodes, and the small files from which each can be played again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vibe_rl.env.pictures.cells import to_image
from vibe_rl.errors import writing
from vibe_rl.run_dir.files import numbered_names
from vibe_rl.runner.recording import Frame, write_gif
from vibe_rl.types import Key
from vibe_rl.watching.episodes import (
    SavedEpisode,
    play_unseen,
    scripted,
    turns,
    with_key,
    write_episode,
)
from vibe_rl.watching.films import check_ffmpeg, write_mp4
from vibe_rl.watching.games import Game, check_seen
from vibe_rl.watching.showing import check_positive
from vibe_rl.watching.subjects import Subject

OF_SEVERAL = 20
"""Episodes among which the best and the worst are looked for, unless it is said."""
FOLDER = "videos"
"""Where films are written of what is no run."""


@dataclass(frozen=True)
class Which:
    """The episodes that are filmed: all, or only the best and the worst of them."""

    episodes: int | None = None  # None: one, or `OF_SEVERAL`
    best: bool = False
    worst: bool = False

    @property
    def number(self) -> int:
        """How many are played."""
        return self.episodes or (OF_SEVERAL if self.best or self.worst else 1)

    def chosen(self, episodes: Sequence[SavedEpisode]) -> dict[str, SavedEpisode]:
        """Those to be filmed, by the beginning of their files' names."""
        by_return = sorted(episodes, key=lambda saved: saved.episode_return)
        found = {}
        if self.best:
            found["best"] = by_return[-1]
        if self.worst:
            found["worst"] = by_return[0]
        if found:
            return found
        return {f"episode_{i}": saved for i, saved in enumerate(episodes, 1)}


@dataclass(frozen=True)
class Film:
    """How episodes are written."""

    fps: float | int = 25.0  # env steps a second
    mp4: bool = False  # one of these too
    folder: Path | None = None  # None: that of the run


def film_episodes(
    subject: Subject,
    which: Which | None = None,
    film: Film | None = None,
    *,
    seed: int | None = None,
    max_steps: int | None = None,
) -> list[tuple[Path, SavedEpisode]]:
    """Plays episodes without a display and films them.

    Beside each film lies a `.json` of the same name, from which `find` makes somebody who plays the
    same episode again.

    Args:
        subject: who plays.
        which: the episodes; None is one.
        film: None is a GIF in the run's folder `videos`, of 25 env steps a second.
        seed: of the episodes; None takes those of the evaluation at the checkpoint's step.
        max_steps: env steps after which an episode is cut short; None takes the run's limit.

    Returns:
        The film and the episode, of each that was filmed.

    Raises:
        ConfigError: nothing can be drawn or written.
    """
    which, film = which or Which(), film or Film()
    check_positive(episodes=which.episodes, fps=film.fps, max_steps=max_steps)
    check_seen(subject.env)
    if film.mp4:
        check_ffmpeg()
    folder = film.folder or (subject.run_dir.videos if subject.run_dir else Path(FOLDER))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    limit = max_steps or subject.max_steps
    with subject.open() as game:
        episodes = [
            _episode_of(subject, game, key, limit) for key in subject.keys(which.number, seed)
        ]
        return [
            (_write(film, game, saved, free_path(folder, f"{name}_{subject.name}")), saved)
            for name, saved in which.chosen(episodes).items()
        ]


def _episode_of(subject: Subject, game: Game, key: Key, max_steps: int) -> SavedEpisode:
    """An episode that the subject plays."""
    env = subject.env_id, subject.env_kwargs
    return replace(play_unseen(game, subject.decide, key, max_steps, env), about=subject.title)


def free_path(folder: Path, stem: str) -> Path:
    """A GIF of which no file stands there under the same name without its ending."""
    taken = {path.stem for path in folder.iterdir()}
    stem = next(name for name in numbered_names(stem) if name not in taken)
    return folder / f"{stem}.gif"


def _write(film: Film, game: Game, saved: SavedEpisode, path: Path) -> Path:
    """Writes an episode and its film, a GIF of this path; the film."""
    write_gif(_frames(game, saved), path, film.fps)
    write_episode(saved, path.with_suffix(".json"))
    if film.mp4:
        path = path.with_suffix(".mp4")
        write_mp4(_frames(game, saved), path, film.fps)
    return path


def _frames(game: Game, saved: SavedEpisode) -> Iterator[Frame]:
    """A picture of each state of an episode that is played again."""
    how = scripted(saved, game.action_space), with_key(saved.key), saved.length
    for moment, _ in turns(game, *how):
        picture = moment.picture()
        yield to_image(picture) if isinstance(picture, tuple) else picture
