"""The figure of a driving scenario shows who and what is there."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from vibe_rl.env.driving.scenarios.codes import RED, ROAD_EDGE, SURFACE_LANE
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario, empty_scenario
from vibe_rl.plotting import PlotConfig
from vibe_rl.plotting.palette import color_for
from vibe_rl.plotting.scenario import plot_scenario


@pytest.fixture
def scenario() -> Scenario:
    """The ego drives 11 m along x; somebody is there at frame 10 only, turned to the left."""
    s = empty_scenario(Dims(N=3, T=12, P=9, L=2, K=2, Q=5, R=1))
    s.log_xy[0, :, 0], s.log_valid[0] = np.arange(12), True
    s.log_xy[1, 10], s.log_yaw[1, 10], s.log_valid[1, 10] = (20, 5), np.pi / 2, True
    s.size[:] = 4, 2, 1.5
    s.map_xy[:8, 0] = [0, 1, 2, 0, 1, 2, 3, 4]
    s.map_type[:8] = [SURFACE_LANE] * 3 + [ROAD_EDGE] * 5
    s.map_id[:8], s.map_valid[:8] = [0, 0, 0, 1, 1, 1, 2, 2], True
    s.path_xy[0, :, 0], s.path_valid[0] = np.arange(5), True
    s.light_xy[1], s.light_state[1], s.light_valid[1] = (7, 1), RED, True
    return s


def test_everybody_is_a_box_of_his_size_where_he_is_at_the_frame(scenario):
    axes = plot_scenario(scenario).axes[0]
    ego, other = (patch.get_xy()[:4] for patch in axes.patches)
    np.testing.assert_allclose([ego.min(0), ego.max(0)], [(8, -1), (12, 1)])
    np.testing.assert_allclose([other.min(0), other.max(0)], [(19, 3), (21, 7)], atol=1e-6)
    assert to_hex(axes.patches[0].get_facecolor()) == color_for(0).lower()
    assert len(plot_scenario(scenario, frame=3).axes[0].patches) == 1


def test_lines_of_the_map_are_apart_and_lights_have_their_colour(scenario, tmp_path):
    path = tmp_path / "scene.png"
    figure = plot_scenario(scenario, config=PlotConfig(title="here", dpi=40), save_path=path)
    axes = figure.axes[0]
    lengths = [len(line.get_xdata()) for line in axes.lines if len(line.get_xdata())]
    assert lengths == [3, 3, 2, 5, 12, 1]  # a lane, two edges, a path, the drive, a light
    assert axes.lines[-1].get_color() == "tab:red"
    assert axes.get_title(loc="left") == "here"
    assert axes.get_xlim() == (-40, 51)
    assert path.stat().st_size > 1000
