"""What the layers of a model hold in a training step, moment by moment; the parts of [`~mmprolong_hf.memory.memory_per_gpu`]."""

from dataclasses import dataclass

from mmprolong_hf.architecture import Architecture

HEAD_ROWS, HEAD_COLUMNS = 4096, 32768  # the tiles of logits that TRL's head computes
OFFLOAD_STASH = 5  # hidden states that TRL's activation_offloading keeps on the GPU while they are copied


@dataclass(frozen=True)
class Setup:
    """
    How a model is trained, as far as its memory goes.

    Args:
        num_gpus (`int`, *optional*, defaults to `1`): GPUs that share weights, gradients and optimizer states (FSDP2).
        train_vision (`bool`, *optional*, defaults to `True`): Whether the vision tower is trained.
        lora_rank (`int`, *optional*): Rank of adapters (in float32, as PEFT makes them) on the language model's linear layers,
            whose own weights are then frozen.
        weight_bytes (`int`, *optional*, defaults to `2`): Of a weight: 2 in bfloat16, 4 in float32.
        compute_bytes (`int`, *optional*, defaults to `2`): Of a number in a product: 2 with `bf16: true`.
        optimizer (`str`, *optional*, defaults to `"adamw_torch_fused"`): Its name in transformers; those that are not in `memory.MOMENTS`
            count as AdamW.
        save_attention (`bool`, *optional*, defaults to `False`): [`~mmprolong_hf.checkpointing.save_attention_outputs`].
        mlp_tile (`int`, *optional*): Tokens of [`~mmprolong_hf.tiled_mlp.tile_mlps`].
        offload (`bool`, *optional*, defaults to `False`): Hidden states kept in host memory (`activation_offloading`).
        vision_chunk (`int`, *optional*): Patches that the vision tower computes at a time.
        uint8_pixels (`bool`, *optional*, defaults to `False`): Pages as they were, one byte a value and one frame.
    """

    num_gpus: int = 1
    train_vision: bool = True
    lora_rank: int | None = None
    weight_bytes: int = 2
    compute_bytes: int = 2
    optimizer: str = "adamw_torch_fused"
    save_attention: bool = False
    mlp_tile: int | None = None
    offload: bool = False
    vision_chunk: int | None = None
    uint8_pixels: bool = False

    @property
    def residual_bytes(self) -> int:
        """Of a number in the hidden states: autocast leaves them in the weights' type, FSDP casts the weights themselves."""
        return self.compute_bytes if self.num_gpus > 1 else self.weight_bytes

    @property
    def copies(self) -> bool:
        """Whether each matrix casts, and keeps, an input of its own: under autocast, float32 hidden states or adapters make it."""
        return self.compute_bytes == 2 and (self.lora_rank is not None or self.residual_bytes == 4)


def gathered(a: Architecture, s: Setup) -> int:
    """Weights and gradients that exist unsharded, cast or not yet added."""
    layer, ends = a.layer_weights, a.embedding_weights
    full = s.lora_rank is None
    if s.num_gpus > 1:  # this layer and the next, embedding and head; their gradients until they are shared out
        return s.compute_bytes * (2 * layer + ends + full * (layer + ends))
    cast = s.compute_bytes * (layer + a.head_weights) if s.weight_bytes > s.compute_bytes else 0
    largest = max(a.head_weights, a.mlp_size * a.hidden_size)
    return cast + (4 * largest if full else 0)  # one gradient before it is added


def hidden_states(a: Architecture, s: Setup, tokens: int) -> int:
    """Inputs of all language layers, and what the row has once."""
    kept = min(a.num_layers, OFFLOAD_STASH) if s.offload else a.num_layers
    positions = 2 * a.head_dim * s.residual_bytes + 64  # cosines and sines; ids, types and positions
    return tokens * (kept * a.hidden_size * s.residual_bytes + positions)


def language_work(a: Architecture, s: Setup, tokens: int) -> int:
    """The largest of three moments of a layer's backward pass: in the MLP, in the norm before it, in attention."""
    h, q, kv = a.hidden_size, a.num_heads * a.head_dim, a.num_kv_heads * a.head_dim
    b, r, full = s.compute_bytes, s.residual_bytes, s.lora_rank is None
    normed = (r * h if full else 0) + (4 * h if r == 2 else 0)  # normalised, for its weight; the input in float32
    attended = b * (2 * q + 2 * kv) + 4 * a.num_heads + (0 if full or not s.copies else b * q)
    before = normed + b * h * (3 if s.copies else 1) + attended
    gated = 6 * b * a.mlp_size  # gate, up, its activation, and three gradients
    if s.copies and not full:  # gradients of adapters' inputs, in float32 and back
        gated += b * a.mlp_size + 8 * h
    inputs = b * h * (2 if s.copies else 1)
    second = (r * h if full else 0) + 4 * h + r * h  # the second norm's, and the output's gradient
    mlp = tokens * (before + second + inputs + gated)
    if s.mlp_tile is not None and s.mlp_tile < tokens:
        weights = (4 + s.weight_bytes) * 3 * a.mlp_size * h if full else 0  # summed in float32, and a tile's
        mlp = tokens * (before + second + 2 * r * h) + s.mlp_tile * (inputs + gated + b * h) + weights
    norm = tokens * (before + 4 * h + r * h + (20 if r == 2 else 16) * h)
    scratch = (
        4 * q + 2 * b * q
    )  # what FlashAttention-2 sums queries' gradients in, and keys' before their heads are added
    attention = tokens * (before + r * h + b * (2 * q + 2 * kv) + scratch)
    return max(mlp, norm, attention)


def _block(a: Architecture, s: Setup) -> tuple[int, int, int]:
    """Bytes a patch of a vision block: kept for its backward pass, at most in that, and at most in a forward pass alone."""
    v, mlp, b, r = a.vision_hidden_size, a.vision_mlp_size, s.compute_bytes, s.residual_bytes
    gated = a.vision_mlp_matrices == 3
    norm = (r + (4 if r == 2 else 0)) * v if gated else 0  # LayerNorm keeps its input alone
    inputs = b * v
    attended = 3 * b * v + 2 * b * v + 2 * b * v  # q, k and v in one; q and k turned; the output, in pieces and joined
    inner = (4 if gated else 2) * b * mlp
    kept = 2 * (norm + inputs) + r * v + attended + inner
    gradient = r * v
    backward = max(
        2 * (norm + inputs) + r * v + attended + gradient + (6 if gated else 3) * b * mlp,
        norm
        + inputs
        + attended
        + (4 if r == 2 else 0) * v
        + 2 * gradient
        + ((20 if r == 2 else 16) * v if gated else 0),
        norm + inputs + 3 * b * v + gradient + 24 * v,  # q and k turned in float32
    )
    hidden = 2 * r * v + (0 if gated else 2 * r * v)  # before and after; Qwen3-VL's learned positions
    forward = hidden + max(inputs + 3 * b * v + (24 if b == 2 else 16) * v, inner)
    return kept, backward, forward


def vision_hidden_states(a: Architecture, s: Setup, patches: int) -> int:
    """Inputs of all vision blocks, and what the mergers keep."""
    if not s.train_vision or s.vision_chunk is not None:
        return 0
    mergers = a.num_mergers * 3 * s.compute_bytes * a.vision_hidden_size
    return patches * (a.vision_depth * a.vision_hidden_size * s.residual_bytes + mergers)


def vision_work(a: Architecture, s: Setup, patches: int) -> int:
    """The largest moment of a vision block, or of a chunk's pass through all of them."""
    kept, backward, forward = _block(a, s)
    pixels = (
        s.compute_bytes * a.patch_values if s.compute_bytes == 2 or s.uint8_pixels else 0
    )  # as the tower reads them
    if not s.train_vision:
        return min(patches, s.vision_chunk or patches) * (forward + pixels)
    if s.vision_chunk is None or s.vision_chunk >= patches:
        return patches * (backward + pixels)
    return s.vision_chunk * ((a.vision_depth - 1) * kept + backward + pixels)


def head(a: Architecture, s: Setup, supervised: int) -> int:
    """A tile of logits and its gradient, and the labelled tokens' hidden states."""
    return (
        min(supervised, HEAD_ROWS) * min(a.vocab_size, HEAD_COLUMNS) * (4 + s.compute_bytes)
        + 8 * supervised * a.hidden_size
    )
