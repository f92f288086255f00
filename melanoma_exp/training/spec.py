"""The options of the group `train`."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.data.samples import Plan
from melanoma_exp.spec import Spec, UserError
from melanoma_exp.training.losses import AnyLoss
from melanoma_exp.training.transfer.spec import Features, FineTuning

MOVED = {  # keys of earlier versions
    "label_smoothing": "train.loss.label_smoothing",
    "focal_gamma": "train.loss.gamma of train/loss=focal",
}


class Plateau(Spec):
    """Lowers the learning rate when the monitored metric stops improving (`schedule: plateau`)."""

    monitor: str
    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=1)
    min_learning_rate: float = Field(ge=0)


class Restarts(Spec):
    """Periods of `schedule: cosine_restarts` (SGDR; Loshchilov and Hutter, ICLR 2017).

    Attributes:
        first_epochs: Length of the first period.
        factor: How much longer each period is than the one before.
    """

    first_epochs: float = Field(gt=0)
    factor: float = Field(ge=1)


class OneCycle(Spec):
    """The shape of `schedule: one_cycle` (Smith and Topin, Super-Convergence, 2018).

    Attributes:
        rise: Share of all steps over which the rate rises.
        start_fraction: What it starts from, in units of `learning_rate`.
    """

    rise: float = Field(gt=0, lt=1)
    start_fraction: float = Field(ge=0, le=1)


class EarlyStopping(Spec):
    """Stops training when the monitored metric stops improving; `patience: null` never does."""

    monitor: str
    patience: int | None = Field(ge=1)
    min_delta: float = Field(ge=0)


class Swa(Spec):
    """Evaluates and keeps the mean of the weights that epochs end with (Izmailov et al., UAI 2018).

    Attributes:
        from_epoch: The first epoch, from 1, in the mean.
        bn_batches: Training batches over which the statistics of batch normalisation are computed
            for the mean, before each validation from then on.
    """

    from_epoch: int = Field(ge=1)
    bn_batches: int = Field(ge=1)


class Checkpoint(Spec):
    """How often a run saves what it needs to resume; it never changes a result.

    Attributes:
        every_epochs: After every so many epochs; a signal to stop always saves one.
        every_steps: Also after every so many steps, for long epochs; null does not.
    """

    every_epochs: int = Field(ge=1)
    every_steps: int | None = Field(ge=1)


class Train(Spec):
    """How the network is trained.

    Attributes:
        epochs: At most this many passes over the training images.
        batch_size: Images a step over all replicas together.
        optimizer: `momentum` is for sgd and rmsprop, `weight_decay` for adamw and sgd.
        weight_decay_on: `kernels` leaves out biases and all other vectors, such as the scale and
            shift of a normalisation (He et al., Bag of Tricks for Image Classification, CVPR 2019).
        learning_rate: The highest: after the warm-up, and at the peak of `one_cycle`.
        schedule: `linear` and `cosine` fall over all epochs, `cosine_restarts` in periods of
            `restarts`; `one_cycle` rises first; `plateau` falls when a metric stops improving.
        warmup_epochs: Linear rise from 0 before the schedule begins; it then has the rest.
        final_fraction: Where the schedule ends, in units of `learning_rate`.
        keep: Which weights are evaluated and logged: of the `last` epoch, or of the `best` one by
            the monitor of early stopping.
        loss: What is minimised: an option of the group `train/loss`.
        clip_norm: Largest global norm of the gradient; null does not clip.
        features: Trains the head alone, on features that the frozen network has computed once; null
            trains from pixels.
        fine_tuning: Which layers are trained when, and at which rate; null trains all at one rate.
        ema: Momentum of the weights' moving average that is evaluated and kept; null uses none.
        ema_warmup: Lowers that momentum to (1 + t) / (10 + t) in step t while this is lower, so
            that the average forgets the first weights sooner.
        ema_bn_batches: Training batches over which the statistics of batch normalisation are
            computed for the average, before each validation; null keeps those of the weights.
        swa: Stochastic weight averaging; null uses none.
        precision: Of the computation; weights and logits stay float32. float16 needs a GPU. `auto`
            is bfloat16 where the machine computes it natively, else float32; a run records which.
        fused: Whether dropout, ReLU before a pool, batch norm and Adam take fewer passes over
            memory; false trains with Keras' own layers and optimizers.
        deterministic: Bit-identical results on the same machine.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    weight_decay_on: Literal["kernels", "all"]
    schedule: Literal["constant", "linear", "cosine", "cosine_restarts", "one_cycle", "plateau"]
    warmup_epochs: float = Field(ge=0)
    final_fraction: float = Field(ge=0, le=1)
    restarts: Restarts
    one_cycle: OneCycle
    plateau: Plateau
    early_stopping: EarlyStopping
    keep: Literal["last", "best"]
    loss: AnyLoss
    clip_norm: float | None = Field(gt=0)
    ema: float | None = Field(gt=0, lt=1)
    ema_warmup: bool
    ema_bn_batches: int | None = Field(ge=1)
    swa: Swa | None
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    fused: bool
    deterministic: bool
    features: Features | None
    fine_tuning: FineTuning | None
    checkpoint: Checkpoint

    def describe(self) -> str:
        """Returns optimizer, learning rate, loss and averaging, for the plan and the model card."""
        parts = [f"{self.optimizer}, learning rate {self.learning_rate:g} ({self.schedule})"]
        if self.loss.kind != "cross_entropy":
            parts.append(f"loss {self.loss.kind}")
        if self.ema is not None:
            parts.append(f"moving average of weights {self.ema:g}")
        if self.swa is not None:
            parts.append(f"mean of the weights from epoch {self.swa.from_epoch} on")
        return ", ".join(parts)

    def check(self, plan: Plan) -> None:
        """Checks, before TensorFlow is imported, that it suits what an epoch shows.

        Args:
            plan: Of an epoch.

        Raises:
            UserError: It does not.
        """
        self.loss.check(plan)
        if plan.from_epoch > self.epochs:
            raise UserError(
                f"balance.from_epoch: {plan.from_epoch} is never reached: train.epochs is "
                f"{self.epochs}"
            )

    def check_distribution(self, kind: str) -> list[str]:
        """Returns a line for each thing that does not go with an option of `distribution`."""
        needs = f"needs distribution=single (got {kind}); train.ema does not"
        return [
            f"train.{key}: {needs}"
            for key in ("swa", "ema_bn_batches")
            if getattr(self, key) is not None and kind != "single"
        ]

    @model_validator(mode="before")
    @classmethod
    def _name_moved_keys(cls, content: Any) -> Any:
        moved = [key for key in MOVED if isinstance(content, Mapping) and key in content]
        if moved:
            raise ValueError("; ".join(f"{key} is now {MOVED[key]}" for key in moved))
        return content

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.warmup_epochs and self.schedule in ("plateau", "one_cycle"):
            own = "rises by itself" if self.schedule == "one_cycle" else "goes by a metric"
            raise ValueError(f"warmup_epochs is not for schedule={self.schedule}, which {own}")
        if self.final_fraction and self.schedule in ("constant", "plateau"):
            raise ValueError(f"final_fraction is not for schedule={self.schedule}")
        if self.warmup_epochs >= self.epochs and self.warmup_epochs:
            raise ValueError("warmup_epochs must be below epochs")
        if self.ema is None:
            for key in ("ema_warmup", "ema_bn_batches"):
                if getattr(self, key):
                    raise ValueError(f"{key} needs ema")
        if self.swa is not None and self.ema is not None:
            raise ValueError("swa and ema both average the weights; set one of them to null")
        if self.swa is not None and self.swa.from_epoch > self.epochs:
            last = f"epochs is {self.epochs}"
            raise ValueError(f"swa.from_epoch={self.swa.from_epoch} is never reached: {last}")
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"momentum is for sgd and rmsprop (got {self.optimizer})")
        if self.weight_decay and self.optimizer not in ("adamw", "sgd"):
            raise ValueError(f"weight_decay is for adamw and sgd (got {self.optimizer})")
        if self.features is not None and self.fine_tuning is not None:
            raise ValueError("features: train the head alone; fine_tuning needs features=null")
        if self.fine_tuning is not None and self.fine_tuning.head_epochs >= self.epochs:
            raise ValueError("fine_tuning.head_epochs must be below epochs")
        return self
