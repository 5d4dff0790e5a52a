"""Evaluation of trained models: labels, edits, latents, generated images and bounds."""

from ccvae_pyro.evaluation.benchmark import Benchmark, Metric, benchmark
from ccvae_pyro.evaluation.calibrate import CalibrationResult, calibrate
from ccvae_pyro.evaluation.disentanglement import (
    DCI,
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)
from ccvae_pyro.evaluation.edit_metrics import (
    EditMetrics,
    composition,
    edit_metrics,
    pixel_variance,
    swap_distance,
)
from ccvae_pyro.evaluation.evaluate import Evaluation, evaluate
from ccvae_pyro.evaluation.exactness import how_exact
from ccvae_pyro.evaluation.generative_metrics import (
    EncoderFeatures,
    ImageDistances,
    conditional_generation_accuracy,
    image_distances,
)
from ccvae_pyro.evaluation.importance import (
    ImportanceWeights,
    effective_sample_size,
    importance_weights,
    inference_data,
    log_likelihood,
    log_p_x,
    pareto_k,
    plot_prior_forest,
)
from ccvae_pyro.evaluation.label_metrics import (
    BinaryMetrics,
    CategoricalMetrics,
    ContinuousMetrics,
    LabelMetrics,
    LabelSummary,
    OrdinalMetrics,
    binary_metrics,
    categorical_metrics,
    continuous_metrics,
    label_metrics,
    mean_of_known,
)
from ccvae_pyro.evaluation.latent_probes import Encodings, encode_all, linear_probes
from ccvae_pyro.evaluation.predictors import PredictorChoice, choose_predictor
from ccvae_pyro.evaluation.samplers import (
    SampleQuality,
    SamplerChoice,
    choose_sampler,
    sample_quality,
)
from ccvae_pyro.evaluation.trivial_baselines import (
    TrivialReconstructions,
    trivial_reconstructions,
)
from ccvae_pyro.evaluation.verdict import (
    Finding,
    label_finding,
    reconstruction_finding,
    verdict,
    verdict_messages,
)

__all__ = [
    "DCI",
    "Benchmark",
    "BinaryMetrics",
    "CalibrationResult",
    "CategoricalMetrics",
    "ContinuousMetrics",
    "EditMetrics",
    "EncoderFeatures",
    "Encodings",
    "Evaluation",
    "Finding",
    "ImageDistances",
    "ImportanceWeights",
    "LabelMetrics",
    "LabelSummary",
    "Metric",
    "OrdinalMetrics",
    "PredictorChoice",
    "SampleQuality",
    "SamplerChoice",
    "TrivialReconstructions",
    "benchmark",
    "binary_metrics",
    "calibrate",
    "categorical_metrics",
    "choose_predictor",
    "choose_sampler",
    "composition",
    "conditional_generation_accuracy",
    "continuous_metrics",
    "dci",
    "edit_metrics",
    "effective_sample_size",
    "encode_all",
    "evaluate",
    "how_exact",
    "image_distances",
    "importance_weights",
    "inference_data",
    "label_finding",
    "label_metrics",
    "linear_probes",
    "log_likelihood",
    "log_p_x",
    "mean_of_known",
    "mutual_information_gap",
    "pareto_k",
    "pixel_variance",
    "plot_prior_forest",
    "reconstruction_finding",
    "sample_quality",
    "separated_attribute_predictability",
    "swap_distance",
    "trivial_reconstructions",
    "verdict",
    "verdict_messages",
]
