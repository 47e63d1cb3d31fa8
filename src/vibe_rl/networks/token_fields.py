"""The fields of an algorithm's config that say how encoders of tokens are built."""

from dataclasses import dataclass

from vibe_rl.errors import Typed
from vibe_rl.types import static


@dataclass(frozen=True, kw_only=True)
class TokenFields(Typed):
    """Sizes of the encoders embedded, lq, lqh, mtr and wayformer; others read none of them."""

    token_hidden_sizes: tuple[int, ...] = static((256, 256))
    """Encoders of tokens: widths of the dense layers between a row and its token, or, of embedded,
    between a part and what it becomes."""
    token_width: int = static(64, least=1)
    """Encoders of tokens: features of a token, or, of embedded, of a part."""
    n_latents: int = static(16, least=1)
    """lq, lqh, wayformer: vectors that ask the tokens, each for something else."""
    latent_width: int = static(128, least=1)
    """lq, lqh, wayformer: features of such a vector."""
    n_heads: int = static(2, least=1)
    """lq, lqh, mtr, wayformer: heads of an attention."""
    head_width: int = static(16, least=1)
    """lq, lqh, mtr, wayformer: features of a head."""
    token_layers: int | None = static(None, least=1)
    """Encoders of tokens: rounds of lq and lqh or layers of mtr (None: 4), or of wayformer (2)."""
    n_neighbours: int = static(8, least=1)
    """mtr: tokens that each token attends to."""
    fusion: str = static("late", one_of=("late", "early", "hierarchical"))
    """wayformer: whether the parts of an observation meet after their attention, before it, or
    after it in one more."""
