"""Policies of run directories."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vibe_rl.errors import without_password
from vibe_rl.experiment import evaluate_run, load_run
from vibe_rl.policies.folder import check_formats, check_place, export
from vibe_rl.policies.numpy_runner import read_description
from vibe_rl.policies.registry import Figures, Published, publish
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.group import AnyPath, check_single
from vibe_rl.runner.run import Run
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.tracking.jsonl import read_metrics
from vibe_rl.tracking.mlflow import load_mlflow, read_ids
from vibe_rl.tracking.mlflow_store import (
    check_address,
    default_address,
    experiment_of,
    folder_of_runs,
    given_address,
)
from vibe_rl.tracking.named import send

FOLDERS = {False: "policy", True: "policy_best"}
"""Among the artifacts of a run: of its latest checkpoint, and of its best."""


def export_run(
    path: AnyPath,
    *,
    best: bool = False,
    to: AnyPath | None = None,
    without: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Writes a run's saved policy as a folder; see `export`.

    Args:
        path: the run directory.
        best: takes the checkpoint with the best evaluation instead of the latest.
        to: the folder; None takes `artifacts/policy` or `artifacts/policy_best` of the run.
        without: formats to leave out, `onnx` or `stablehlo`.
        overwrite: whether a policy that is there already is replaced.

    Returns:
        The folder.

    Raises:
        ConfigError: there is no such checkpoint, or what `export` refuses.
    """
    check_single(path)
    run_dir = RunDir.open(path)
    folder = run_dir.artifact_path(FOLDERS[best]) if to is None else absolute(to)
    check_formats(without)
    check_place(folder, overwrite)
    run, agent_state, notes = load_run(run_dir, best)
    about = {"run": about_run(run, run_dir, notes, best)}
    enable_compilation_cache()
    what = run.algorithm, agent_state, run.env, run.params_of_episode(0), folder
    return export(*what, without=without, overwrite=overwrite, about=about)


def about_run(run: Run, run_dir: RunDir, notes: Mapping[str, Any], best: bool) -> dict[str, Any]:
    """What policy.json says of the run and of the checkpoint."""
    return {
        "name": run_dir.root.name,
        "env_id": run.description["env_id"],
        "env_kwargs": run.description["env_kwargs"],
        "step": notes["step"],
        "update": notes["update"],
        "seed": notes["seed"],
        "best": best,
        "eval_return": eval_return_at(run_dir, notes["step"]),
    }


def eval_return_at(run_dir: RunDir, step: int) -> float | None:
    """The mean return of the evaluation at an env step; None if there was none."""
    rows = [row for row in read_metrics(run_dir) if row.get("step") == step]
    return next((row["eval_return"] for row in rows if row.get("eval_return") is not None), None)


def publish_run(
    path: AnyPath, *, name: str | None = None, best: bool = False, without: Sequence[str] = ()
) -> tuple[Published, Figures]:
    """Registers a run's saved policy with MLflow, as a model of the run that is tracked there.

    A run that is not there is sent first. The figure is the checkpoint's evaluation, or that of an
    evaluation now.

    Args:
        path: the run directory.
        name: of the registered model; None takes the run's name without the time.
        best: takes the checkpoint with the best evaluation instead of the latest.
        without: formats to leave out, `onnx` or `stablehlo`.

    Raises:
        ConfigError: what `export_run` and `publish` refuse.
    """
    check_single(path)
    run_dir = RunDir.open(path)
    load_mlflow()
    with tempfile.TemporaryDirectory(prefix="vibe_rl_") as folder:
        policy = export_run(path, best=best, to=Path(folder) / "policy", without=without)
        about = read_description(policy)["run"]
        known = about["eval_return"]
        value = float(evaluate_run(path, best=best).mean_return) if known is None else known
        figures = Figures({"eval_return": value}, by="eval_return", step=about["step"])
        uri, run_id = _tracked(run_dir)
        how = {"run_id": run_id, "tracking_uri": uri, "tags": {"run": about["name"]}}
        return publish(policy, figures, name=name or experiment_of(run_dir), **how), figures


def _tracked(run_dir: RunDir) -> tuple[str, str]:
    """The address and the id of the MLflow run of a run directory, which is sent if it has none."""
    uri = check_address(given_address() or default_address(folder_of_runs(run_dir)))
    known = read_ids(run_dir)
    if known.get("tracking_uri") != without_password(uri):
        send("mlflow", run_dir)
        known = read_ids(run_dir)
    return uri, known["run_id"]
