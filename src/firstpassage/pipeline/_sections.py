"""The sections of a configuration: every setting with its meaning and its range."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Width = Annotated[int, Field(ge=1, le=8192)]
Widths = tuple[Width, ...]
Activation = Literal["silu", "mish", "tanh", "relu"]
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(BaseModel):
    """Say which model, on which box."""

    model_config = _STRICT

    name: str = Field(default="ddm", description="Name of a model of the package, or FILE.py:NAME of one of your own.")
    bounds: dict[str, tuple[float, float]] = Field(
        default={}, description="Prior bounds by parameter, [lower, upper]; the model's own for those left out."
    )
    settings: dict[str, Any] = Field(default={}, description="Constants of the model, by name.")

    @field_validator("bounds")
    @classmethod
    def _ordered(cls, bounds: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        """Refuse reversed bounds."""
        for name, (low, high) in bounds.items():
            if not low < high:
                raise ValueError(
                    f"the bounds of {name} must be [lower, upper] with lower < upper; got [{low:g}, {high:g}]. "
                    "Exchange them."
                )
        return bounds


class NpeNetwork(BaseModel):
    """Describe the networks of a posterior estimator; see `firstpassage.NPE`."""

    model_config = _STRICT

    method: Literal["npe"] = Field(default="npe", exclude=True, repr=False)
    trials: tuple[Width, Width] | None = Field(
        default=None, description="Fewest and most trials of a data set to train for; the model's usual ones if null."
    )
    summary: Literal["moments", "decisions", "deepset", "bayesflow", "timeseries"] | None = Field(
        default=None, description="What the summary network takes of a data set; chosen by the model if null."
    )
    flow: Literal["maf-spline", "maf", "spline", "affine", "mdn"] = Field(default="maf-spline", description="The flow.")
    layers: int = Field(default=3, ge=1, le=100, description="Layers of the flow.")
    flow_widths: Widths = Field(
        default=(128, 128), min_length=1, description="Hidden widths of the flow's perceptrons."
    )
    widths: Widths = Field(default=(256, 256, 256), min_length=1, description="Hidden widths of the summary network.")
    trial_widths: Widths = Field(
        default=(64, 64), min_length=1, description="Hidden widths of the perceptron for one trial."
    )
    hidden: int = Field(default=64, ge=1, le=8192, description="Units of recurrent layers, of summary timeseries.")
    summaries: int = Field(default=32, ge=1, le=8192, description="Number of learned summaries.")
    bins: int = Field(default=8, ge=1, le=1000, description="Bins of splines.")
    components: int = Field(default=8, ge=1, le=1000, description="Components of mixtures.")
    activation: Activation = Field(default="silu", description="Activation of hidden layers.")
    passes: int = Field(default=3, ge=1, le=1000, description="How often each simulated data set is used.")
    clip: float | None = Field(default=2.0, gt=0, description="Largest norm of a step's gradient; any if null.")

    @field_validator("trials")
    @classmethod
    def _range(cls, trials: tuple[int, int] | None) -> tuple[int, int] | None:
        """Refuse a reversed range."""
        if trials is not None and trials[0] > trials[1]:
            raise ValueError(f"network.trials must be [fewest, most]; got {list(trials)}. Exchange them.")
        return trials


class NleNetwork(BaseModel):
    """Describe the networks of a likelihood estimator; see `firstpassage.NLE`."""

    model_config = _STRICT

    method: Literal["nle"] = Field(default="nle", exclude=True, repr=False)
    unit: Literal["patch", "window", "trace"] | None = Field(
        default=None, description="What a trial is, for models that can be taken apart; the usual one if null."
    )
    flow: Literal["mdn", "maf-spline", "maf", "spline", "affine"] | None = Field(
        default=None, description="The flow, or the mixture of normals; chosen by what a trial is if null."
    )
    widths: Widths | None = Field(default=None, min_length=1, description="Hidden widths of the flow's perceptrons.")
    layers: int | None = Field(default=None, ge=1, le=100, description="Layers of a flow through several columns.")
    bins: int = Field(default=8, ge=1, le=1000, description="Bins of splines.")
    components: int = Field(default=8, ge=1, le=1000, description="Components of mixtures.")
    choice_widths: Widths = Field(
        default=(16, 16), min_length=1, description="Hidden widths of the network of the category."
    )
    memory: int = Field(default=32, ge=1, le=8192, description="Units of the memory of a hazard network.")
    noise: float = Field(
        default=0.02, ge=0, lt=1, description="Noise of summary statistics, as a share of their standard deviations."
    )
    activation: Activation = Field(default="silu", description="Activation of hidden layers.")


class NreNetwork(BaseModel):
    """Describe the networks of a ratio estimator; see `firstpassage.NRE`."""

    model_config = _STRICT

    method: Literal["nre"] = Field(default="nre", exclude=True, repr=False)
    unit: Literal["patch", "window", "trace"] | None = Field(
        default=None, description="What a trial is, for models that can be taken apart; the usual one if null."
    )
    candidates: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Contrastive parameter candidates for each trial, fewer than optimiser.batch.",
    )
    gamma: float = Field(default=1.0, gt=0, description="Odds that one of the candidates made the trial.")
    network: Literal["mlp", "resnet"] = Field(default="mlp", description="Perceptron without or with skip connections.")
    widths: Widths | None = Field(default=None, min_length=1, description="Hidden widths of the network of pairs.")
    evidence_widths: Widths | None = Field(
        default=None, min_length=1, description="Hidden widths of the network of the data alone."
    )
    activation: Activation = Field(default="silu", description="Activation of hidden layers.")
    products: int = Field(
        default=48, ge=1, le=8192, description="Products of linear forms, where decisions are learned."
    )


class Optimiser(BaseModel):
    """Describe the training."""

    model_config = _STRICT

    batch: int | None = Field(default=None, ge=1, le=10_000_000, description="Pairs in each step.")
    epoch_pairs: int | None = Field(default=None, ge=1, description="Pairs in each epoch.")
    validation: int | None = Field(default=None, ge=1, description="Pairs for the validation loss.")
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=1,
        description="Highest rate of Adam: after a warm-up, from which on a cosine takes it to zero.",
    )
    decay: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="Staircase instead of warm-up and cosine, [factor, steps]: the rate is multiplied by the factor "
        "after every so many steps.",
    )
    average: float = Field(default=0.998, ge=0, lt=1, description="Momentum of the averaged weights, which are kept.")
    patience: int | None = Field(
        default=50, ge=1, description="Stop after so many epochs without a lower validation loss; never if null."
    )


class Observed(BaseModel):
    """Say on which data the estimator is tried."""

    model_config = _STRICT

    data: str | None = Field(
        default=None, description="File of the data of one subject; null simulates a test observation with the seed."
    )
    columns: dict[str, str] = Field(
        default={}, description="What the file calls the model's columns, where names differ."
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Trials of the test observation; the model's usual number if null.",
    )
    truth: dict[str, float] | None = Field(
        default=None, description="Parameters of the test observation, all of them; drawn from the prior if null."
    )


class Sampler(BaseModel):
    """Describe the sampler of the posterior."""

    model_config = _STRICT

    draws: int = Field(
        default=1000, ge=4, le=1_000_000, description="Kept draws of each chain; npe gives draws x chains."
    )
    tune: int = Field(default=1000, ge=20, le=1_000_000, description="Warm-up steps of each chain; none for npe.")
    chains: int = Field(default=4, ge=1, le=1000, description="Number of chains.")


class Validation(BaseModel):
    """Say how much is simulated to check the estimator."""

    model_config = _STRICT

    recovery: int = Field(default=100, ge=0, le=1_000_000, description="Data sets for recovery, 2 or more; none if 0.")
    sbc: int = Field(
        default=100, ge=0, le=1_000_000, description="Data sets for simulation-based calibration; none if 0."
    )
    draws: int = Field(default=99, ge=5, le=100_000, description="Posterior draws of each of these data sets.")
    trials: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Trials of each of these data sets; as many as observed ones if null.",
    )
    ppc: int = Field(
        default=200,
        ge=0,
        le=1_000_000,
        description="Replicates for the posterior predictive check of the observation; 0: none.",
    )
    exact: bool = Field(
        default=True, description="Compare the posterior of the observation with the exact one, where there is one."
    )
