"""Replay: experience that is kept and learned from many times."""

from vibe_rl.replay.ring import Batch, HostReplay, Replay, Ring
from vibe_rl.replay.sharded import ShardedReplay

__all__ = ["Batch", "HostReplay", "Replay", "Ring", "ShardedReplay"]
