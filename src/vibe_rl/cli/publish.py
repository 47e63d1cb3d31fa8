"""`vibe-rl publish`."""

from collections.abc import Sequence

from vibe_rl.cli.shared.options import parse_words, split_names


def publish(args: Sequence[str]) -> None:
    """Registers a saved policy with MLflow."""
    import tyro  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        name: str | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        without: str | None = None,
    ):
        """The policy of a run as the next version of a model in MLflow's registry.

        It becomes the candidate, and the champion if its evaluation is at least as good. A run that
        MLflow does not have is sent first.

        Args:
            run: Directory of a run.
            name: Of the model; by default the run's name without the time.
            best: The agent of the best evaluation instead of the latest.
            without: Formats to leave out: onnx, stablehlo or both with a comma between.
        """
        formats = split_names(without) if without else []
        return run, {"name": name, "best": best, "without": formats}

    run, how = parse_words(options, args, "vibe-rl publish")
    from vibe_rl.policies import publish_run  # noqa: PLC0415

    published, figures = publish_run(run, **how)
    figure = f"{figures.by} {figures.metrics[figures.by]:.2f}"
    print(f"Published | {published.name} version {published.version} | {figure}")
    if published.champion != published.version:
        print(f"Champion | version {published.champion} remains")
    for alias in published.aliases:
        print(f"Load with | models:/{published.name}@{alias}")
