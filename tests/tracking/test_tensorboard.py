"""Event files, read back by TensorBoard itself."""

from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from small_run import CONFIG, DRAWN
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import TensorBoardBackend, read_metrics
from vibe_rl.tracking.named import send
from vibe_rl.tracking.tensorboard import last_step, tag_of


def tracked(config: TrainConfig, **runner) -> TrainConfig:
    return replace(config, runner=replace(config.runner, track=("tensorboard",), **runner))


def read(folder):
    """Tags with their steps and values."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    scalars = events.Tags()["scalars"]
    return events, {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in scalars}


def expected(run_dir):
    """The same from the log."""
    table = {}
    for row in read_metrics(run_dir):
        for name, value in row.items():
            if name != "step" and value is not None:
                table.setdefault(name, []).append((row["step"], value))
    return table


def assert_alike(found, run_dir):
    wanted = expected(run_dir)
    assert found.keys() == wanted.keys()
    for name, pairs in wanted.items():
        assert [step for step, _ in found[name]] == [step for step, _ in pairs], name
        assert [x for _, x in found[name]] == pytest.approx([x for _, x in pairs], rel=1e-6)


def test_every_row_the_config_and_the_curve_are_there(tmp_path):
    run_dir, _ = train(tracked(DRAWN), tmp_path)
    events, scalars = read(run_dir.logs)
    assert_alike(scalars, run_dir)
    assert events.Tags()["images"] == ["reward_curve"]
    (image,) = events.Images("reward_curve")
    assert (image.width, image.height) > (100, 100)
    (text,) = events.Tensors("config/text_summary")
    assert b"hidden_sizes" in text.tensor_proto.string_val[0]


def test_a_resumed_run_has_each_row_once(tmp_path):
    run_dir, _ = train(tracked(CONFIG, total_timesteps=512), tmp_path)
    resume(run_dir, tracked(CONFIG))
    assert_alike(read(run_dir.logs)[1], run_dir)


def test_rows_after_the_checkpoint_from_which_a_run_resumes_are_replaced(tmp_path):
    config = tracked(CONFIG, checkpoint_interval=1024, total_timesteps=1024)
    run_dir, _ = train(config, tmp_path)
    for checkpoint in run_dir.list_checkpoints():  # as if a crash had come before the first
        checkpoint.rename(tmp_path / checkpoint.name)
    resume(run_dir, config)
    assert_alike(read(run_dir.logs)[1], run_dir)
    assert last_step(run_dir.logs) == 1024


def test_a_run_that_is_tracked_from_its_second_half_on_has_the_first_too(tmp_path):
    run_dir, _ = train(
        replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=512)), tmp_path
    )
    resume(run_dir, tracked(CONFIG))
    assert_alike(read(run_dir.logs)[1], run_dir)


def test_a_finished_run_is_sent_once_however_often_it_is_sent(tmp_path):
    run_dir, _ = train(DRAWN, tmp_path)
    for _ in range(2):
        send("tensorboard", run_dir)
    assert_alike(read(run_dir.logs)[1], run_dir)


def test_the_last_step_of_a_torn_file_is_that_of_its_last_whole_row(tmp_path):
    backend = TensorBoardBackend(tmp_path)
    for step in (1, 2, 3):
        backend.log({"loss": 0.5}, step)
    backend.close()
    (path,) = tmp_path.iterdir()
    assert last_step(tmp_path) == 3
    path.write_bytes(path.read_bytes()[:-3])
    assert last_step(tmp_path) == 2
    assert last_step(tmp_path / "nowhere") == -1


def test_names_are_those_that_tensorboard_takes():
    assert tag_of("charts/a b:c-1") == "charts/a_b_c-1"


def test_a_backend_of_its_own_takes_rows_with_their_step(tmp_path):
    backend = TensorBoardBackend(str(tmp_path / "new"))
    backend.log({"step": 7, "loss": 0.5, "name": "text", "bad": float("nan")})
    backend.close()
    backend.close()
    assert read(tmp_path / "new")[1] == {"loss": [(7, 0.5)]}
