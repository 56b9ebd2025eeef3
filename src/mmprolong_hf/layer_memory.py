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


def _bytes(**tensors: int) -> int:
    """What tensors take that exist at once; the names say which they are."""
    return sum(tensors.values())


def gathered(a: Architecture, s: Setup) -> int:
    """Weights and gradients that exist unsharded, cast or not yet added."""
    layer, ends, full = a.layer_weights, a.embedding_weights, s.lora_rank is None
    if s.num_gpus > 1:
        largest = max(full * layer, full * ends, s.train_vision * a.vision_parameters)
        return _bytes(
            this_layer_and_the_next=2 * s.compute_bytes * layer,
            embedding_and_head=s.compute_bytes * ends,
            gradients_not_yet_shared_out=full * s.compute_bytes * (layer + ends),
            gradients_of_a_unit_on_their_way=4 * largest,  # fsdp.py sums them over ranks in float32
        )
    return _bytes(
        cast_layer_and_head=s.compute_bytes * (layer + a.head_weights) if s.weight_bytes > s.compute_bytes else 0,
        gradient_before_it_is_added=4 * max(a.head_weights, a.mlp_size * a.hidden_size) if full else 0,
    )


def hidden_states(a: Architecture, s: Setup, tokens: int) -> int:
    """Inputs of all language layers, and what the row has once."""
    kept = min(a.num_layers, OFFLOAD_STASH) if s.offload else a.num_layers
    return tokens * _bytes(
        inputs=kept * a.hidden_size * s.residual_bytes,
        cosines_and_sines=2 * a.head_dim * s.residual_bytes,
        ids_types_positions=64,
    )


def attention_outputs(a: Architecture, s: Setup, tokens: int) -> int:
    """What `save_attention` keeps of all layers but the one that is computed again."""
    a_token = _bytes(output=a.num_heads * a.head_dim * s.compute_bytes, log_sums=4 * a.num_heads)
    return s.save_attention * tokens * (a.num_layers - 1) * a_token


def _norm_backward(width: int, s: Setup) -> int:
    """What RMSNorm makes a row in its backward pass, in float32."""
    return _bytes(
        gradient_cast=4 * width if s.residual_bytes == 2 else 0,
        gradient_by_inverse_root=4 * width,
        input_of_square=4 * width,
        twice_the_input=4 * width,
        gradient_of_square=4 * width,
    )


def language_work(a: Architecture, s: Setup, tokens: int) -> int:
    """The largest of three moments of a layer's backward pass: in the MLP, in the norm before it, in attention."""
    h, q, kv = a.hidden_size, a.num_heads * a.head_dim, a.num_kv_heads * a.head_dim
    b, r, full = s.compute_bytes, s.residual_bytes, s.lora_rank is None
    always = _bytes(  # what the layer's first half keeps, and a gradient
        input_of_norm=4 * h if r == 2 else 0,  # float32; it is the layer's input itself if that is
        normalised=r * h if full else 0,  # for the gradient of the norm's weight
        inputs_of_q_k_v=b * h * (3 if s.copies else 1),
        query_and_output=2 * b * q,
        key_and_value=2 * b * kv,
        log_sums=4 * a.num_heads,
        input_of_o=0 if full or not s.copies else b * q,
        gradient=r * h,  # of the layer's output, later of its middle
    )
    norm = _bytes(input=4 * h, work=_norm_backward(h, s))
    attention = _bytes(
        gradients_of_query_and_output=2 * b * q,
        gradients_of_key_and_value=2 * b * kv,
        sums_of_query_gradients=4 * q,  # FlashAttention-2's
        gradients_of_key_and_value_by_head=2 * b * q,  # before those of a group are added
    )
    return tokens * always + max(_mlp_work(a, s, tokens), tokens * norm, tokens * attention)


def _mlp_work(a: Architecture, s: Setup, tokens: int) -> int:
    """What the MLP and the norm before it add."""
    h, b, r, full = a.hidden_size, s.compute_bytes, s.residual_bytes, s.lora_rank is None
    copied = s.copies and not full  # by adapters
    norm = _bytes(input=4 * h, normalised=r * h if full else 0)
    mlp = _bytes(
        inputs_of_gate_and_up=b * h * (2 if s.copies else 1),
        gate_up_activation=3 * b * a.mlp_size,
        their_gradients=3 * b * a.mlp_size,
        adapters_input_of_down=b * a.mlp_size if copied else 0,
        adapters_gradients=8 * h if copied else 0,  # of the inputs of gate and up, in float32 and back
    )
    if s.mlp_tile is None or s.mlp_tile >= tokens:
        return tokens * (norm + mlp)
    weights = 3 * a.mlp_size * h if full else 0
    return _bytes(
        row=tokens * _bytes(norm=norm, input=r * h, its_gradient=r * h),
        tile=s.mlp_tile * _bytes(mlp=mlp, output=b * h),
        sums_of_weights_gradients=4 * weights,
        a_tiles_weights_gradients=s.weight_bytes * weights,
    )


@dataclass(frozen=True)
class _VisionBlock:
    """
    Bytes a patch of a vision block.

    Args:
        kept (`int`): For its backward pass.
        backward, forward (`int`): At most in its backward pass, and in a forward pass that keeps nothing.
    """

    kept: int
    backward: int
    forward: int

    @classmethod
    def of(cls, a: Architecture, s: Setup) -> "_VisionBlock":
        v, mlp, b, r = a.vision_hidden_size, a.vision_mlp_size, s.compute_bytes, s.residual_bytes
        gated = a.vision_mlp_matrices == 3  # Qwen2.5-VL, with RMSNorm; Qwen3-VL has LayerNorm
        norm = _bytes(input=4 * v if gated else r * v, normalised=r * v if gated else 0, output=b * v)
        attention = _bytes(qkv=3 * b * v, turned_q_and_k=2 * b * v, output=b * v, joined=b * v)
        inner = (4 if gated else 2) * b * mlp  # gate, up, activation, product; or what GELU takes and gives
        first_norm = norm if gated and r == 2 else norm - r * v  # its input is the block's, which is counted apart
        gradient = r * v
        return cls(
            kept=2 * norm + attention + inner,
            backward=max(
                first_norm + norm + attention + gradient + (6 if gated else 3) * b * mlp,
                first_norm + attention + 4 * v + 2 * gradient + (_norm_backward(v, s) if gated else 0),
                first_norm + 3 * b * v + gradient + _rotary_backward(v),
            ),
            forward=_bytes(input=r * v, output=r * v, learned_positions=0 if gated else 2 * r * v)
            + max(_bytes(normalised=b * v, qkv=3 * b * v, turning=_rotary_forward(v, s)), inner),
        )


def _rotary_forward(width: int, s: Setup) -> int:
    return _bytes(
        q_and_k_cast=8 * width if s.compute_bytes == 2 else 0,
        turned_q=4 * width,
        k_by_cosines=4 * width,
        swapped_halves_of_k=4 * width,
        these_by_sines=4 * width,
    )


def _rotary_backward(width: int) -> int:
    return _bytes(
        gradients_of_q_and_k=8 * width, by_cosines=4 * width, by_sines=4 * width, swapped_back=4 * width, sum=4 * width
    )


def _pixels(a: Architecture, s: Setup) -> int:
    """Bytes of a patch as the tower reads it, where the pack has it otherwise."""
    return s.compute_bytes * a.patch_values if s.compute_bytes == 2 or s.uint8_pixels else 0


def _mergers(a: Architecture, s: Setup) -> int:
    """Bytes a patch that the mergers keep: what they normalise, and what stands before and after GELU."""
    return a.num_mergers * 3 * s.compute_bytes * a.vision_hidden_size


def vision_hidden_states(a: Architecture, s: Setup, patches: int) -> int:
    """What is kept of all patches between the tower's forward and backward pass."""
    chunked = s.vision_chunk is not None
    return patches * _bytes(
        inputs_of_blocks=s.train_vision * (not chunked) * a.vision_depth * a.vision_hidden_size * s.residual_bytes,
        mergers=s.train_vision * (not chunked) * _mergers(a, s),
        cast_pixels=chunked * (not s.uint8_pixels) * _pixels(a, s),  # transformers casts them all before the tower
    )


def vision_work(a: Architecture, s: Setup, patches: int) -> int:
    """The largest moment of a vision block, or of a chunk's pass through all of them."""
    block, chunked = _VisionBlock.of(a, s), s.vision_chunk is not None
    pixels = 0 if chunked and not s.uint8_pixels else _pixels(a, s)
    if not s.train_vision:
        return min(patches, s.vision_chunk or patches) * (block.forward + pixels)
    if not chunked:
        return patches * (block.backward + pixels)
    chunk = min(patches, s.vision_chunk) * _bytes(
        other_blocks=(a.vision_depth - 1) * block.kept, block=block.backward, mergers=_mergers(a, s), pixels=pixels
    )
    # Gradients of a weight are summed over chunks apart from its own, to which they are added when the last chunk has come
    largest = (a.merge_size**2 * a.vision_hidden_size) ** 2
    return chunk + s.residual_bytes * _bytes(sums=a.vision_parameters, gradient_of_a_chunk=largest, new_sum=largest)


def head(a: Architecture, s: Setup, supervised: int) -> int:
    """A tile of logits and its gradient, and the labelled tokens' hidden states."""
    tile = min(supervised, HEAD_ROWS) * min(a.vocab_size, HEAD_COLUMNS)
    return _bytes(logits=4 * tile, gradient=s.compute_bytes * tile, hidden_states=8 * supervised * a.hidden_size)
