"""Ray Tune trains settings with several seeds at once, where it is installed."""

import sys

import pytest

from searching import CONFIG
from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.search.ray import trainable
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.group import members


def test_without_ray_the_trainable_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.tune", None)
    with pytest.raises(ConfigError, match=r"trials need ray: pip install 'vibe-rl\[ray\]'"):
        trainable(CONFIG)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::ray")
def test_a_tuner_gets_every_evaluation_and_its_scheduler_may_end_a_trial(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    tune = pytest.importorskip("ray.tune")
    monkeypatch.chdir(tmp_path)
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        tuner = tune.Tuner(
            trainable(CONFIG, range(2)),
            param_space={"algo.lr": tune.grid_search([1e-3, 3e-3])},
            tune_config=tune.TuneConfig(
                metric="iqm",
                mode="max",
                scheduler=tune.schedulers.ASHAScheduler(
                    time_attr="step", max_t=512, grace_period=256
                ),
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path / "ray"), verbose=0),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    assert not results.errors
    assert [min(result.metrics_dataframe["step"]) for result in results] == [256, 256]
    best = results.get_best_result()
    assert best.metrics["step"] == 512
    assert best.metrics["low"] <= best.metrics["iqm"] <= best.metrics["high"]
    (run_dir,) = find_runs(tmp_path / "runs", f"trial_{best.metrics['trial_id']}")
    assert [saved_steps(seed.checkpoints)[-1] for seed in members(run_dir)] == [512, 512]
