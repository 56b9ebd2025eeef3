"""The sizes of a model that decide what it costs, read from its configuration; no model is loaded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """
    The sizes of a Qwen2.5-VL or Qwen3-VL model that decide what it costs.

    Args:
        hidden_size (`int`): Width of the language model.
        num_layers (`int`): Its layers.
        num_heads (`int`): Its query heads.
        num_kv_heads (`int`): Its key-value heads.
        head_dim (`int`): Width of a head.
        mlp_size (`int`): Inner width of its gated MLP.
        vocab_size (`int`): Rows of its embedding.
        tie_word_embeddings (`bool`): Whether the LM head is the embedding.
        vision_depth (`int`): Blocks of the vision tower.
        vision_hidden_size (`int`): Width of the vision tower.
        vision_mlp_size (`int`): Inner width of its MLP.
        vision_mlp_matrices (`int`): Matrices in that MLP: 3 where it is gated (Qwen2.5-VL), else 2.
        patch_size (`int`): Side of a patch in pixels.
        merge_size (`int`): Patches along each side of one token.
        num_full_attention_blocks (`int`): Vision blocks in which a patch attends to its whole image.
        window_size (`int`): Side in pixels of the window that the other blocks attend within; 0 if there are none.
        num_mergers (`int`): Projections into the language model: 1, and 1 more for each deepstack level.

    Example:

    ```python
    >>> a = QWEN2_5_VL_7B
    >>> [round(n / 1e9, 3) for n in (a.language_weights, a.head_weights, a.vision_weights, a.merger_weights)]
    [6.525, 0.545, 0.63, 0.045]
    >>> round(a.num_parameters / 1e9, 2)  # the embedding is as large as the head
    8.29

    ```
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp_size: int
    vocab_size: int
    tie_word_embeddings: bool
    vision_depth: int
    vision_hidden_size: int
    vision_mlp_size: int
    vision_mlp_matrices: int
    patch_size: int
    merge_size: int
    num_full_attention_blocks: int
    window_size: int
    num_mergers: int

    @classmethod
    def from_config(cls, config: dict) -> "Architecture":
        """
        The sizes that a transformers v5 configuration holds.

        Args:
            config (`dict`): What `config.to_dict()` returns, with its `text_config` and `vision_config`.

        Raises:
            ValueError: if the configuration is of another family.
        """
        family = config.get("model_type")
        if family not in ("qwen2_5_vl", "qwen3_vl"):
            raise ValueError(f"model_type is {family!r}, expected 'qwen2_5_vl' or 'qwen3_vl'")
        text, vision = config["text_config"], config["vision_config"]
        if family == "qwen2_5_vl":  # head_dim is implied; most vision blocks see a window
            head_dim = text["hidden_size"] // text["num_attention_heads"]
            num_full, window, mergers = len(vision["fullatt_block_indexes"]), vision["window_size"], 1
        else:
            head_dim = text["head_dim"]
            num_full, window, mergers = vision["depth"], 0, 1 + len(vision["deepstack_visual_indexes"])
        return cls(
            hidden_size=text["hidden_size"],
            num_layers=text["num_hidden_layers"],
            num_heads=text["num_attention_heads"],
            num_kv_heads=text["num_key_value_heads"],
            head_dim=head_dim,
            mlp_size=text["intermediate_size"],
            vocab_size=text["vocab_size"],
            tie_word_embeddings=config["tie_word_embeddings"],
            vision_depth=vision["depth"],
            vision_hidden_size=vision["hidden_size"],
            vision_mlp_size=vision["intermediate_size"],
            vision_mlp_matrices=3 if family == "qwen2_5_vl" else 2,
            patch_size=vision["patch_size"],
            merge_size=vision["spatial_merge_size"],
            num_full_attention_blocks=num_full,
            window_size=window,
            num_mergers=mergers,
        )

    @property
    def linear_shapes(self) -> list[tuple[int, int]]:
        """(in, out) of a language layer's matrices: q, k, v, o, gate, up, down."""
        h, q, kv, mlp = (
            self.hidden_size,
            self.num_heads * self.head_dim,
            self.num_kv_heads * self.head_dim,
            self.mlp_size,
        )
        return [(h, q), (h, kv), (h, kv), (q, h), (h, mlp), (h, mlp), (mlp, h)]

    @property
    def layer_weights(self) -> int:
        """Weights of one language layer: its matrices, as everywhere here; all else is under 0.05 % of a model."""
        return sum(rows * cols for rows, cols in self.linear_shapes)

    @property
    def language_weights(self) -> int:
        """Weights of all language layers, without embedding and LM head."""
        return self.num_layers * self.layer_weights

    @property
    def head_weights(self) -> int:
        """Weights of the LM head."""
        return self.hidden_size * self.vocab_size

    @property
    def embedding_weights(self) -> int:
        """Weights of the embedding, and of the LM head where that is a matrix of its own."""
        return self.head_weights if self.tie_word_embeddings else 2 * self.head_weights

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: three colours, and an image stands twice in time (`temporal_patch_size` 2)."""
        return 3 * 2 * self.patch_size**2

    @property
    def vision_weights(self) -> int:
        """Weights of the vision blocks, without patch embedding and mergers."""
        attention = 4 * self.vision_hidden_size**2
        return self.vision_depth * (
            attention + self.vision_mlp_matrices * self.vision_hidden_size * self.vision_mlp_size
        )

    @property
    def merger_weights(self) -> int:
        """Weights of the mergers, two matrices each."""
        merged = self.vision_hidden_size * self.merge_size**2
        return self.num_mergers * merged * (merged + self.hidden_size)

    @property
    def vision_parameters(self) -> int:
        """Weights of the vision tower with patch embedding and mergers."""
        return self.patch_values * self.vision_hidden_size + self.vision_weights + self.merger_weights

    @property
    def num_parameters(self) -> int:
        """Weights of the whole model."""
        return self.language_weights + self.embedding_weights + self.vision_parameters

    def lora_parameters(self, rank: int) -> int:
        """Weights of LoRA adapters of this rank on every linear layer of the language model."""
        return rank * self.num_layers * sum(rows + cols for rows, cols in self.linear_shapes)


# Planned with when no Hub can be reached.
QWEN2_5_VL_7B = Architecture(
    hidden_size=3584, num_layers=28, num_heads=28, num_kv_heads=4, head_dim=128, mlp_size=18944, vocab_size=152064,
    tie_word_embeddings=False, vision_depth=32, vision_hidden_size=1280, vision_mlp_size=3420, vision_mlp_matrices=3,
    patch_size=14, merge_size=2, num_full_attention_blocks=4, window_size=112, num_mergers=1,
)  # fmt: skip
QWEN3_VL_8B = Architecture(
    hidden_size=4096, num_layers=36, num_heads=32, num_kv_heads=8, head_dim=128, mlp_size=12288, vocab_size=151936,
    tie_word_embeddings=False, vision_depth=27, vision_hidden_size=1152, vision_mlp_size=4304, vision_mlp_matrices=2,
    patch_size=16, merge_size=2, num_full_attention_blocks=27, window_size=0, num_mergers=4,
)  # fmt: skip
