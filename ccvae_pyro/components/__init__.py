"""The parts of a model: modules that return a distribution."""

from ccvae_pyro.components._normal import MIN_SCALE, normal_from, positive
from ccvae_pyro.components.bayes_classifier import BayesClassifier
from ccvae_pyro.components.calibration import Calibration
from ccvae_pyro.components.chow_liu import ChowLiuLabelPrior
from ccvae_pyro.components.classifiers import (
    DiagonalClassifier,
    LabelHead,
    LinearRegressor,
    NestedClassifier,
    NetworkClassifier,
    OrdinalRegressor,
)
from ccvae_pyro.components.conditional_priors import (
    ClassConditionalPrior,
    GaussianConditionalPrior,
    LinearConditionalPrior,
)
from ccvae_pyro.components.decoders import (
    BernoulliDecoder,
    GaussianDecoder,
    ImageDecoder,
    LaplaceDecoder,
)
from ccvae_pyro.components.encoders import (
    ConditionalEncoder,
    GaussianEncoder,
    LabelCode,
    LabelExperts,
    join,
)
from ccvae_pyro.components.factory import (
    LabelModules,
    MixedClassifier,
    MixedConditionalPrior,
    MixedLabelPrior,
    label_modules,
)
from ccvae_pyro.components.fitted_sampler import FittedSampler
from ccvae_pyro.components.label_priors import (
    BernoulliLabelPrior,
    CategoricalLabelPrior,
    NormalLabelPrior,
)
from ccvae_pyro.components.linear_probe import LinearProbe
from ccvae_pyro.components.protocols import (
    Classifier,
    ConditionalPrior,
    Decoder,
    Encoder,
    LabelPrior,
    StylePrior,
)
from ccvae_pyro.components.style_priors import StandardNormal

__all__ = [
    "MIN_SCALE",
    "BayesClassifier",
    "BernoulliDecoder",
    "BernoulliLabelPrior",
    "Calibration",
    "CategoricalLabelPrior",
    "ChowLiuLabelPrior",
    "ClassConditionalPrior",
    "Classifier",
    "ConditionalEncoder",
    "ConditionalPrior",
    "Decoder",
    "DiagonalClassifier",
    "Encoder",
    "FittedSampler",
    "GaussianConditionalPrior",
    "GaussianDecoder",
    "GaussianEncoder",
    "ImageDecoder",
    "LabelCode",
    "LabelExperts",
    "LabelHead",
    "LabelModules",
    "LabelPrior",
    "LaplaceDecoder",
    "LinearConditionalPrior",
    "LinearProbe",
    "LinearRegressor",
    "MixedClassifier",
    "MixedConditionalPrior",
    "MixedLabelPrior",
    "NestedClassifier",
    "NetworkClassifier",
    "NormalLabelPrior",
    "OrdinalRegressor",
    "StandardNormal",
    "StylePrior",
    "join",
    "label_modules",
    "normal_from",
    "positive",
]
