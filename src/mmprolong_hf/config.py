"""What a recipe can say: the fields of TRL's SFTConfig, and those that long documents need."""

import math
from dataclasses import dataclass, field

from mmprolong_hf.attention_choice import CHOICES
from mmprolong_hf.hub_options import HubOptions
from mmprolong_hf.plan import STRATEGIES
from mmprolong_hf.samples import OVERLONG_DOCUMENTS


@dataclass
class DataArguments:
    """Which dataset is trained on."""

    dataset_name: str = field(
        metadata={"help": "Hub id or local folder with one row per document, as `mmprolong build` writes it."}
    )
    dataset_config: str | None = field(
        default=None, metadata={"help": "Config of the dataset; its default one if not given."}
    )
    dataset_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a Hub dataset."})
    dataset_train_split: str = field(default="train", metadata={"help": "Split to train on."})
    dataset_test_split: str = field(
        default="test", metadata={"help": "Split to evaluate on, where eval_strategy asks for it."}
    )
    fill_with: str | None = field(
        default=None,
        metadata={
            "help": "Hub id or local folder of another dataset of the same columns (its train split), whose samples fill the room that packs have left; none is cut, none shares its document, and there is no pack more for them."
        },
    )


@dataclass
class MMProLongConfig(HubOptions):
    """
    Configuration of [`~mmprolong_hf.trainer.MMProLongTrainer`].

    Batches are counted in packs: a pack is one row of up to `max_length` tokens, one at a time on each rank, and an optimizer
    step takes `packs_per_step` of them over all ranks. `gradient_accumulation_steps` follows from that, so a recipe trains the
    same on 1 GPU and on 8.

    Raises:
        ValueError: when TRL's own packing is asked for, when the batch is given in any other way than `packs_per_step`, or when
            that does not divide by the number of ranks; also as [`~mmprolong_hf.hub_options.HubOptions`].
    """

    per_device_train_batch_size: int = field(
        default=1, metadata={"help": "Always 1: a rank takes one pack at a time. See packs_per_step."}
    )
    per_device_eval_batch_size: int = field(default=1, metadata={"help": "Always 1: a rank takes one pack at a time."})
    max_length: int | None = field(default=131072, metadata={"help": "Most tokens in a pack, and so in a sample."})
    packs_per_step: int = field(
        default=32, metadata={"help": "Packs in an optimizer step, over all ranks and accumulation together."}
    )
    packing_order: str = field(
        default="random",
        metadata={
            "help": "random: best-fit decreasing packs, shuffled in every epoch; sequential: packs in the order of the dataset, for a curriculum."
        },
    )
    share_documents: bool = field(
        default=True,
        metadata={
            "help": "Compute a document once for the questions about it that share a pack: the same losses and gradients for a fraction of the work."
        },
    )
    max_questions_per_pack: int = field(
        default=8,
        metadata={
            "help": "Most questions that a document is computed for at once; its further ones are computed with the document again."
        },
    )
    max_questions: int | None = field(
        default=None,
        metadata={
            "help": "Stop with the step in which so many questions are trained, those to fill with not counted; max_steps wins if it is given."
        },
    )
    balance_window: int = field(
        default=16,
        metadata={
            "help": "Steps whose packs are sorted by cost together, so that those of like cost meet in a step and ranks wait less; 1 leaves packs to the shuffle."
        },
    )
    overlong_documents: str = field(
        default="reject",
        metadata={
            "help": "reject: a sample longer than max_length is left out and counted; keep_evidence: the pages farthest from its evidence are left out."
        },
    )
    min_pixels: int | None = field(
        default=None,
        metadata={"help": "Fewest pixels of a page image after resizing; the checkpoint's own if not given."},
    )
    max_pixels: int | None = field(
        default=None,
        metadata={"help": "Most pixels of a page image after resizing; the checkpoint's own if not given."},
    )
    extend_context: bool = field(
        default=False,
        metadata={"help": "Extend the checkpoint's context before training; the next five fields say how."},
    )
    max_position_embeddings: int | None = field(
        default=None, metadata={"help": "Window after extension, in tokens. Default: 131072 for Qwen2.5-VL."}
    )
    rope_theta: float | None = field(
        default=None, metadata={"help": "Base of the rotary frequencies after extension. Default: 4e6 for Qwen2.5-VL."}
    )
    rope_type: str = field(default="default", metadata={"help": "default: change the base alone; yarn: YaRN."})
    rope_factor: float | None = field(default=None, metadata={"help": "YaRN's factor. Default: 4."})
    original_max_position_embeddings: int | None = field(
        default=None, metadata={"help": "YaRN's window before extension. Default: 32768."}
    )
    vision_learning_rate: float | None = field(
        default=1e-6,
        metadata={"help": "Peak learning rate of the vision tower and its merger; learning_rate if null."},
    )
    freeze_vision_tower: bool = field(
        default=False, metadata={"help": "Do not train the vision tower (its merger apart)."}
    )
    freeze_merger: bool = field(
        default=False, metadata={"help": "Do not train the merger between the vision tower and the language model."}
    )
    freeze_language_model: bool = field(
        default=False, metadata={"help": "Do not train the language model and its head."}
    )
    attention_kernel: str = field(
        default="auto",
        metadata={
            "help": "What computes packed attention: flash_attention_3 (its package), flash_attention_2 (in torch), cudnn or sdpa; auto: the first where its package works, else the second in half precision on a GPU, else sdpa, a kernel of its own on a CPU. It is compared with float32 before training."
        },
    )
    liger_kernels: str = field(
        default="auto",
        metadata={
            "help": "Liger's RMSNorm, SwiGLU and rotary kernels, each compared with the plain layer first; auto: where there is a GPU and liger-kernel, on: an error where they cannot be used, off."
        },
    )
    save_attention: bool = field(
        default=False,
        metadata={
            "help": "Let gradient checkpointing keep the outputs of attention, so that it is not computed again: faster the longer the pack, for as much memory again as the kept inputs of layers."
        },
    )
    mlp_tile: int | None = field(
        default=8192,
        metadata={"help": "Tokens that an MLP of the language model takes at a time; null for all at once."},
    )
    vision_chunk: int | None = field(
        default=8192,
        metadata={
            "help": "Most patches (4 to a token) that the vision tower takes at a time, in whole pages, each chunk computed again in the backward pass; null for all at once."
        },
    )
    model_card_template: str | None = field(
        default=None, metadata={"help": "Markdown template of the model card; TRL's own card if not given."}
    )
    dry_run: bool = field(
        default=False, metadata={"help": "Print the plan and what it will cost, without weights or GPU, and stop."}
    )
    assumed_mfu: float = field(
        default=0.4, metadata={"help": "Model FLOPs utilisation that the dry run reckons GPU-hours with."}
    )
    peak_tflops: float = field(
        default=989.0, metadata={"help": "Peak bf16 TFLOPS of one GPU, for the dry run; 989 is an H100 or H200."}
    )
    num_gpus: int = field(default=1, metadata={"help": "GPUs that the dry run shares the memory and the time over."})

    def __post_init__(self):
        self._check_choices()
        if self.packing or self.padding_free:
            raise ValueError(
                "packing and padding_free are TRL's, which refuses them for images; leave both off: rows are packed anyway, to max_length"
            )
        if self.use_liger_kernel:
            raise ValueError(
                "use_liger_kernel is not supported: Liger's patch of Qwen-VL does not import with transformers 5.23, and its "
                "rotary patch does nothing there; leave it off: liger_kernels uses the kernels, and the loss is fused by TRL"
            )
        if self.ignore_data_skip:
            raise ValueError(
                "ignore_data_skip is on, with which a resumed run repeats samples and loses others; leave it off"
            )
        if not self.average_tokens_across_devices:
            raise ValueError(
                "average_tokens_across_devices is off, with which the loss depends on the number of processes; leave it on"
            )
        if not 0 <= self.plan_seed < 2**32:
            raise ValueError(
                f"the seed of the plan is {self.plan_seed} (data_seed, else seed), expected 0 to {2**32 - 1}"
            )
        for name in ("max_questions_per_pack", "balance_window", "max_questions", "mlp_tile", "vision_chunk"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if self.max_length is None:
            raise ValueError("max_length is null, expected the number of tokens in a pack")
        if self.per_device_train_batch_size != 1 or self.per_device_eval_batch_size != 1:
            raise ValueError(
                f"per_device_train_batch_size is {self.per_device_train_batch_size} and per_device_eval_batch_size "
                f"{self.per_device_eval_batch_size}, but a rank takes one pack at a time; set packs_per_step instead"
            )
        if self.gradient_accumulation_steps != 1:
            raise ValueError(
                f"gradient_accumulation_steps is {self.gradient_accumulation_steps}, but it follows from packs_per_step and "
                "the number of ranks; set packs_per_step instead"
            )
        self.remove_unused_columns = False
        self.dataset_kwargs = {"skip_prepare_dataset": True}
        # Nothing runs on a device then, and a recipe for GPUs asks for bf16, which Trainer refuses where there is none.
        self.use_cpu = self.use_cpu or self.dry_run
        if self.activation_checkpointing is None:  # transformers 5.23's name; it warns where only TRL's default is set
            self.activation_checkpointing = self.gradient_checkpointing
        super().__post_init__()
        if self.packs_per_step < 1 or self.packs_per_step % self.world_size:
            raise ValueError(
                f"packs_per_step is {self.packs_per_step} with {self.world_size} ranks, expected a positive multiple of the ranks"
            )
        self.gradient_accumulation_steps = self.packs_per_step // self.world_size

    @property
    def plan_seed(self) -> int:
        """What the plan is seeded with."""
        return self.seed if self.data_seed is None else self.data_seed

    def _check_choices(self) -> None:
        for name, known in (
            ("packing_order", STRATEGIES),
            ("overlong_documents", OVERLONG_DOCUMENTS),
            ("rope_type", ("default", "yarn")),
            ("attention_kernel", CHOICES),
            ("liger_kernels", ("auto", "on", "off")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")
        for name in ("max_position_embeddings", "rope_theta", "rope_factor", "original_max_position_embeddings"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, expected a positive number")
        if self.min_pixels is not None and self.max_pixels is not None and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels is {self.min_pixels}, more than max_pixels ({self.max_pixels})")
        if self.num_gpus < 1 or (self.dry_run and self.packs_per_step % self.num_gpus):
            raise ValueError(
                f"num_gpus is {self.num_gpus}, expected a divisor of packs_per_step ({self.packs_per_step})"
            )
