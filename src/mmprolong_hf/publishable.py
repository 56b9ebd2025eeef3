"""A trainer that tells what it trained, beside the weights and in their card, and publishes them once, at the end."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from peft import PeftModel
from transformers import PreTrainedModel
from transformers.trainer_utils import TrainOutput

from mmprolong_hf.cards import LICENSES, local_card, read_template
from mmprolong_hf.checkpoints import raised_on_all_ranks
from mmprolong_hf.encoding import image_limits
from mmprolong_hf.hub.model import publish_model
from mmprolong_hf.hub.pushed import Pushed
from mmprolong_hf.hub_options import HubOptions
from mmprolong_hf.resumable import ResumableTrainer
from mmprolong_hf.run_record import RunSource, RunTime, describe_base, sha256_of, versions, write_record


class PublishableTrainer(ResumableTrainer):
    """
    Describes and publishes for [`~mmprolong_hf.trainer.MMProLongTrainer`].

    Nothing is pushed while it trains: Trainer's own pushes would show half-trained weights, and `training_args.bin`.

    Args:
        args (`HubOptions`): Whether and where to publish.
        source (`RunSource`, *optional*): What the run is made from.
        kwargs: As for [`~mmprolong_hf.resumable.ResumableTrainer`].

    Raises:
        ValueError: when it is to publish and the Hub does not let it, or an adapter's base is a local folder.
    """

    def __init__(self, *, model: PreTrainedModel, args: HubOptions, source: RunSource | None = None, **kwargs: Any):
        self.source, self.run_time = RunSource() if source is None else source, RunTime()
        self.base = describe_base(model.name_or_path, self.source.revision)
        adapts = isinstance(model, PeftModel) or kwargs.get("peft_config") is not None
        if args.push_to_hub and adapts and self.base["name"] is None:
            raise ValueError(
                f"push_to_hub is on, but the adapter's base {model.name_or_path} is a local folder, where nobody else finds it; leave "
                f"it off, and publish with `mmprolong publish model {args.output_dir} REPO_ID --base_model ID`"
            )
        super().__init__(model=model, args=args, **kwargs)

    def init_hf_repo(self, *args: Any, **kwargs: Any) -> None:
        """Makes the repository, before anything is trained for it."""
        with raised_on_all_ranks("push_to_hub"):
            try:
                super().init_hf_repo(*args, **kwargs)
            except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
                raise ValueError(f"the Hub does not let {self.args.hub_model_id} be made ({error})") from error

    def describe(self) -> dict:
        """What `training.json` says of the run so far; a subclass adds what it knows."""
        text, limits = self.model.config.text_config, image_limits(self.processing_class)
        template = self.args.model_card_template
        adapter = self.model.peft_config["default"] if isinstance(self.model, PeftModel) else None
        return {
            "family": self.model.config.model_type,
            "base_model": self.base,
            "license": self.args.model_license or LICENSES.get(self.base["name"]),
            "datasets": list(self.source.datasets),
            "recipe_sha256": sha256_of(self.source.recipe_text),
            "adapter": None
            if adapter is None
            else {"r": adapter.r, "lora_alpha": adapter.lora_alpha, "merged": False},
            "step": self.state.global_step,
            "max_steps": self.state.max_steps,
            "learning_rate": self.args.learning_rate,
            "lr_scheduler_type": self.args.lr_scheduler_type.value,
            "seed": self.args.seed,
            "min_pixels": limits.min_pixels,
            "max_pixels": limits.max_pixels,
            "rope_parameters": text.rope_parameters,
            "window": text.max_position_embeddings,
            "hardware": self.run_time.parts(self.args.device, self.args.world_size),
            "versions": versions(),
            "card_template": None if template is None else read_template(template),
        }

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if self.args.model_card_template is not None:
            local_card(self.describe(), "name")  # a broken template is told now, not at the first checkpoint
        self.run_time.begin()
        return super().train(*args, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.run_time.go_on(resume_from_checkpoint)

    def _save_description(self, folder: Path) -> None:
        super()._save_description(folder)
        write_record(folder, self.describe(), self.source.recipe_text)

    def create_model_card(self, model_name: str | None = None, dataset_name: str | None = None, tags=None) -> None:
        if self.args.model_card_template is None:
            super().create_model_card(model_name, dataset_name, tags)
        elif self.is_world_process_zero():
            card = local_card(self.describe(), model_name or Path(self.args.output_dir).name)
            Path(self.args.output_dir, "README.md").write_text(str(card), encoding="utf-8")

    def publish(self, **kwargs: Any) -> Pushed | None:
        """
        Publishes what was saved in `output_dir`, from one process; the others do not wait.

        Args:
            kwargs: `evaluations` and `base_model`, as for [`~mmprolong_hf.hub.model.publish_model`].

        Raises:
            ValueError: as [`~mmprolong_hf.hub.model.publish_model`].
        """
        if not self.is_world_process_zero():
            return None
        args = self.args
        return publish_model(
            Path(args.output_dir),
            self.hub_model_id or args.hub_model_id or Path(args.output_dir).absolute().name,
            private=args.hub_private_repo,
            revision=args.hub_revision,
            **kwargs,
        )

    def push_to_hub(self, **kwargs: Any) -> Pushed | None:
        """Saves the model with its card and publishes it, as [`publish`](`PublishableTrainer.publish`)."""
        self.save_model()
        self.create_model_card()
        return self.publish(**kwargs)
