"""What to change to go faster, in order of what it gains: computed from what was measured and from the plan."""

from dataclasses import dataclass, replace

import numpy as np
from peft import PeftModel

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.attention_choice import CHOICES
from mmprolong_hf.balance import rank_balance
from mmprolong_hf.data_wait import MOST_WAIT
from mmprolong_hf.doctor.findings import NOTE, OK, Finding, Part
from mmprolong_hf.doctor.kernels import KernelTime
from mmprolong_hf.doctor.timing import Timing, costs, packs_of_step, sizes_of
from mmprolong_hf.estimate import CostModel
from mmprolong_hf.kernels import why_not_liger
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import make_plan, parts_of, sharing_options
from mmprolong_hf.sample_encoder import count_fill, sample_parts
from mmprolong_hf.trainer import MMProLongTrainer

LEAST_GAIN = 0.03  # of a step's time; less is lost in the noise of a few steps
MOST_FILL = 0.9
WIDER = 4


@dataclass(frozen=True)
class Advice:
    """
    A change and what it saves.

    Args:
        what (`str`): What to change in the recipe.
        gain (`float`): Share of the time that is saved.
        text (`str`): From what that follows.
    """

    what: str
    gain: float
    text: str


class Adviser:
    """
    Looks for what costs time.

    Args:
        trainer (`MMProLongTrainer`): After the timed steps.
        timing (`Timing`): Of them.
        kernels (`list[KernelTime]`): From [`~mmprolong_hf.doctor.kernels.measure_kernels`] on the first pack; empty for another
            attention.
        free_bytes (`int`, *optional*): GPU memory that the timed steps left, `None` on a CPU.
    """

    def __init__(
        self, trainer: MMProLongTrainer, timing: Timing, kernels: list[KernelTime], free_bytes: int | None = None
    ):
        self.trainer, self.args, self.timing, self.kernels = trainer, trainer.args, timing, kernels
        self.free_bytes = free_bytes
        self.architecture = Architecture.from_config(trainer.model.config.to_dict())
        self.parts = parts_of(trainer.train_dataset, self.args)
        self.packs = [pack for step in range(1, 1 + len(timing.seconds)) for pack in packs_of_step(trainer, step)]
        self.tokens, self.pairs, self.patches = sizes_of(self.parts, self.packs)
        self.longest = max(sizes_of(self.parts, [pack])[0] for pack in self.packs)
        self.cost, self.again = costs(trainer, self.longest)

    def advise(self) -> Part:
        """What is worth a change, the largest gain first; then what is known without a number."""
        candidates = [
            self.kernel(),
            self.save_attention(),
            self.tiles(),
            self.data_wait(),
            self.share_documents(),
            self.fillers(),
            self.balance(),
        ]
        worth = [advice for advice in candidates if advice is not None and advice.gain >= LEAST_GAIN]
        worth.sort(key=lambda advice: -advice.gain)
        findings = [Finding(advice.what, f"{advice.gain:.0%} less time: {advice.text}", NOTE) for advice in worth]
        findings += self.without_a_number()
        return Part(
            "What to change", findings or [Finding("nothing", f"nothing found that gains {LEAST_GAIN:.0%}", OK)]
        )

    def kernel(self) -> Advice | None:
        """Attention of all layers, from the time of one on the first pack and the pairs of all."""
        usable = [kernel for kernel in self.kernels if kernel.report.reason is None]
        if len(usable) < 2:
            return None
        again = self.args.activation_checkpointing and not self.args.save_attention
        now, *others = ((1 + again) * kernel.forward + kernel.backward for kernel in usable)
        best = int(np.argmin(others))
        first = sizes_of(self.parts, packs_of_step(self.trainer, 0)[:1])[1]
        attending = self.architecture.num_layers * now * self.pairs / first / self.timing.total
        name = usable[1 + best].report.name
        text = f"attention of a layer on the first pack takes {others[best] * 1e3:.1f} ms instead of {now * 1e3:.1f} (measured)"
        what = f"attention_kernel {name if name in CHOICES else 'auto'}"
        return Advice(what, min(attending, 1.0) * (1 - others[best] / now), text)

    def save_attention(self) -> Advice | None:
        attention = self.trainer.model.config.text_config._attn_implementation
        if self.args.save_attention or not self.args.activation_checkpointing or attention == "eager":
            return None
        a = self.architecture
        needed = self.longest * a.num_layers * a.num_heads * (2 * a.head_dim + 4)
        if self.free_bytes is not None and needed > self.free_bytes:
            return None
        room = "" if self.free_bytes is None else f"; {self.free_bytes / 2**30:.1f} GiB are free"
        text = f"attention is not computed again, for {needed / 2**30:.2g} GiB{room}"
        return self._saving(
            "save_attention true", CostModel(0.0, 4.0 * a.num_layers * a.num_heads * a.head_dim, 0.0), text
        )

    def tiles(self) -> Advice | None:
        """Tiles and chunks cost a second forward pass where gradient checkpointing does not make it anyway."""
        costing = [
            f"{key} null" for key, cost in (("mlp_tile", self.again.token), ("vision_chunk", self.again.patch)) if cost
        ]
        if self.args.activation_checkpointing or not costing:
            return None
        text = "without gradient checkpointing, tiles and chunks are computed a second time for themselves; if memory allows"
        return self._saving(", ".join(costing), replace(self.again, pair=0.0), text)

    def _saving(self, what: str, saved: CostModel, text: str) -> Advice:
        """As if all FLOPs took the same time."""
        gain = saved.flops(self.tokens, self.pairs, self.patches) / (self.timing.flops + self.timing.again)
        return Advice(what, float(gain), f"{text} (from FLOPs)")

    def data_wait(self) -> Advice | None:
        if self.timing.data_wait <= MOST_WAIT:
            return None
        text = f"training waited so long for its packs, with {self.args.dataloader_num_workers} workers (measured)"
        return Advice("more dataloader_num_workers", self.timing.data_wait, text)

    def share_documents(self) -> Advice | None:
        if self.args.share_documents:
            return None
        options = sharing_options(self.args) | {"max_questions": self.args.max_questions_per_pack}
        shared = sample_parts(self.trainer.train_dataset, **options)
        now, then = (self.cost.flops(p.lengths, p.pairs, p.patches).sum() for p in (self.parts, shared))
        text = "a document is computed once for its questions, with the same losses (from FLOPs)"
        return Advice("share_documents true", float(1 - then / now), text)

    def fillers(self) -> Advice | None:
        """Where ranks cannot share the packs of a step, some compute a copy that trains nothing."""
        costs = self._micro_steps(self._plan())
        plan = self._plan()
        real = plan.pack_costs(plan.packs(epoch=0)).sum()
        text = f"{plan.num_packs} packs do not go round {self.args.num_gpus} GPUs, which compute copies instead (from the plan)"
        return Advice("more documents, or fewer GPUs", 1 - real / costs.sum(), text)

    def balance(self) -> Advice | None:
        plan = self._plan()
        wider = replace(plan, balance_window=WIDER * plan.balance_window)
        now, then = (rank_balance(self._micro_steps(each)) for each in (plan, wider))
        text = f"{self.args.num_gpus} GPUs are busy {then:.0%} of the time instead of {now:.0%} (from the plan)"
        return Advice(f"balance_window {wider.balance_window}", 1 - now / then, text)

    def _plan(self) -> PackingPlan:
        """Of the run on the recipe's GPUs."""
        num_fill = count_fill(self.trainer.train_dataset)
        return make_plan(self.parts, self.args, self.cost, num_ranks=self.args.num_gpus, num_fill=num_fill)

    def _micro_steps(self, plan: PackingPlan) -> np.ndarray:
        return np.array([plan.pack_costs(together) for together in plan.micro_steps(epoch=0)], dtype=np.float64)

    def without_a_number(self) -> list[Finding]:
        """What is known to cost something, or not to."""
        findings = []
        plan, why_not = self._plan(), why_not_liger(self.args.device)
        if self.args.device.type == "cuda" and self.args.liger_kernels != "off" and why_not is not None:
            findings.append(Finding("Liger", f"{why_not}; what it gains is not measured here", NOTE))
        if plan.fill < MOST_FILL and plan.num_fill == 0:
            text = f"packs are {plan.fill:.0%} full. Nothing is padded, so this costs no time; fill_with trains short samples in the room"
            findings.append(Finding("fill", text, OK))
        if isinstance(self.trainer.model, PeftModel) and self.args.num_gpus > 1:
            findings.append(
                Finding(
                    "GPUs",
                    f"timed on one; {self.args.num_gpus} share weights, which takes time that is not seen here",
                    OK,
                )
            )
        return findings
