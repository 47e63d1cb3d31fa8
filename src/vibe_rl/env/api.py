"""What `vibe_rl.env` is made of: all that one imports from there."""

from vibe_rl.env.acrobot import Acrobot, AcrobotParams, AcrobotState
from vibe_rl.env.adapters.five_valued import FiveValuedAdapter
from vibe_rl.env.adapters.gymnasium import GymnasiumWrapper
from vibe_rl.env.base import Environment, EnvParams, EnvState, Step
from vibe_rl.env.cart_pole import CartPole, CartPoleParams, CartPoleState
from vibe_rl.env.checks.checker import check_env, problems
from vibe_rl.env.checks.traced import auto_resets
from vibe_rl.env.driving.env import Driving, DrivingState
from vibe_rl.env.driving.params import DrivingParams, driving_params
from vibe_rl.env.grid_world import (
    GridWorld,
    GridWorldParams,
    GridWorldState,
    PixelGridWorld,
    PixelGridWorldParams,
)
from vibe_rl.env.hackmatrix.env import HackMatrix, HackMatrixParams, HackMatrixState
from vibe_rl.env.host import HostEnvironment, HostEnvs, HostStep
from vibe_rl.env.image_wrappers import (
    FrameStackState,
    FrameStackWrapper,
    GrayscaleWrapper,
    ImageNormWrapper,
    ImageResizeWrapper,
    ImageWrapper,
)
from vibe_rl.env.mountain_car import (
    MountainCar,
    MountainCarContinuous,
    MountainCarParams,
    MountainCarState,
)
from vibe_rl.env.pendulum import Pendulum, PendulumParams, PendulumState
from vibe_rl.env.pictures.drawing import can_draw, draw
from vibe_rl.env.registry import make, names, register
from vibe_rl.env.wrappers import (
    AutoResetWrapper,
    EpisodeStatisticsState,
    EpisodeStatisticsWrapper,
    HookWrapper,
    ObservationWrapper,
    ObsNormParams,
    ObsNormWrapper,
    RewardScaleWrapper,
    TimeLimitState,
    TimeLimitWrapper,
    Wrapper,
    with_episode_statistics,
)
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiBinary, MultiDiscrete, Space

__all__ = [
    "Acrobot",
    "AcrobotParams",
    "AcrobotState",
    "AutoResetWrapper",
    "Box",
    "CartPole",
    "CartPoleParams",
    "CartPoleState",
    "Dict",
    "Discrete",
    "Driving",
    "DrivingParams",
    "DrivingState",
    "EnvParams",
    "EnvState",
    "Environment",
    "EpisodeStatisticsState",
    "EpisodeStatisticsWrapper",
    "FiveValuedAdapter",
    "FrameStackState",
    "FrameStackWrapper",
    "GrayscaleWrapper",
    "GridWorld",
    "GridWorldParams",
    "GridWorldState",
    "GymnasiumWrapper",
    "HackMatrix",
    "HackMatrixParams",
    "HackMatrixState",
    "HookWrapper",
    "HostEnvironment",
    "HostEnvs",
    "HostStep",
    "Image",
    "ImageNormWrapper",
    "ImageResizeWrapper",
    "ImageWrapper",
    "Masked",
    "MountainCar",
    "MountainCarContinuous",
    "MountainCarParams",
    "MountainCarState",
    "MultiBinary",
    "MultiDiscrete",
    "ObsNormParams",
    "ObsNormWrapper",
    "ObservationWrapper",
    "Pendulum",
    "PendulumParams",
    "PendulumState",
    "PixelGridWorld",
    "PixelGridWorldParams",
    "RewardScaleWrapper",
    "Space",
    "Step",
    "TimeLimitState",
    "TimeLimitWrapper",
    "Wrapper",
    "auto_resets",
    "can_draw",
    "check_env",
    "draw",
    "driving_params",
    "make",
    "names",
    "problems",
    "register",
    "with_episode_statistics",
]
