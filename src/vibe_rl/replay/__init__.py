"""Replay: experience that is kept and learned from many times."""

from vibe_rl.replay.base import AbstractReplay
from vibe_rl.replay.device import Replay
from vibe_rl.replay.host import HostReplay
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.replay.sharded import ShardedReplay

__all__ = ["AbstractReplay", "Batch", "HostReplay", "Replay", "Ring", "ShardedReplay"]
