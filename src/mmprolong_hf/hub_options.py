"""What a recipe says about publishing what it trains."""

from dataclasses import dataclass, field

from transformers.trainer_utils import HubStrategy
from trl import SFTConfig


@dataclass
class HubOptions(SFTConfig):
    """
    `push_to_hub` publishes the trained model once, at the end, as `mmprolong publish model` does.

    Raises:
        ValueError: for another `hub_strategy`, and for a `hub_token`.
    """

    hub_strategy: HubStrategy | str = field(
        default="end", metadata={"help": "Always end: the trained model is published once, in one commit."}
    )
    model_license: str | None = field(
        default=None,
        metadata={
            "help": "License of the trained model as the Hub names it (apache-2.0); that of the base, where it is known, if not given."
        },
    )

    def __post_init__(self):
        if self.hub_token is not None:
            raise ValueError(
                "hub_token is given, which would be written into every checkpoint (training_args.bin); leave it out: set HF_TOKEN, "
                "or run `hf auth login`"
            )
        if self.push_to_hub and (strategy := HubStrategy(self.hub_strategy)) is not HubStrategy.END:
            raise ValueError(
                f"hub_strategy is {strategy.value!r}, which would publish half-trained weights with files that hold pickles; "
                "expected 'end'. A checkpoint is published by `mmprolong publish model OUTPUT_DIR/checkpoint-N REPO_ID`"
            )
        super().__post_init__()
