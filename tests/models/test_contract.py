"""The contract of images and labels: whatever a model is given, it is right or one line."""

import copy
import math
import pickle

import pyro
import pytest
import torch
import torch.nn.functional as F
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from ccvae_pyro import (
    CCVAE_ELBO,
    BatchError,
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    celeba,
    classify,
    edit,
    evaluate,
    generate,
    impute,
    mnist,
    predict,
    reconstruct,
    walk,
)
from ccvae_pyro.evaluation import conditional_generation_accuracy, encode_all
from ccvae_pyro.models import BASELINES, _contract, baseline
from ccvae_pyro.objectives import DIVA_ELBO, M2_ELBO, MVAE_ELBO

BATCH = 6
HAIR = Categorical("Hair", ("black", "blond", "red"))
MIXED = (HAIR, Binary("Hat"), Continuous("Age", 40.0, 10.0))
OBJECTIVES = {
    "paper": lambda: CCVAE_ELBO(5),
    "exact": ExactCCVAE_ELBO,
    "plain": Trace_ELBO,
    "vae": Trace_ELBO,
    "cvae": Trace_ELBO,
    "m1": Trace_ELBO,
    "m2": lambda: M2_ELBO(1.0),
    "m1_m2": lambda: M2_ELBO(1.0),
    "diva": lambda: DIVA_ELBO(1.0),
    "mvae": MVAE_ELBO,
}


@pytest.fixture(autouse=True)
def float32():
    torch.set_default_dtype(torch.float32)


def make_model(name="exact", labels=(HAIR,)):
    if name in BASELINES:
        return baseline(name, labels, 12, images="mlp")
    return mnist(z_dim=12, labels=labels, convolutions=False)


def loss_of(name, model, *batch):
    pyro.set_rng_seed(1)
    with pyro.get_param_store().scope():
        return SVI(model.model, model.guide, Adam({}), OBJECTIVES[name]()).evaluate_loss(*batch)


@pytest.fixture
def x():
    return torch.rand(BATCH, 1, 28, 28)


@pytest.fixture
def classes():
    return torch.tensor([0, 1, 2, 2, 1, 0])


def with_missing(classes):
    y = classes.float()
    y[1] = torch.nan
    return y


def one_line(error):
    """The message, which is one line."""
    assert "\n" not in str(error.value)
    return str(error.value)


LAYOUTS = {
    "integers": lambda classes: classes[:, None],
    "double": lambda classes: classes[:, None].double(),
    "one value for each image": lambda classes: classes,
    "one-hot": lambda classes: F.one_hot(classes, 3),
    "one-hot floats": lambda classes: F.one_hot(classes, 3).float(),
    "one-hot booleans": lambda classes: F.one_hot(classes, 3).bool(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_layout_of_a_categorical_label_is_the_same_label(name, layout, x, classes):
    model = make_model(name)
    expected = loss_of(name, model, x, classes[:, None].float())
    assert loss_of(name, model, x, LAYOUTS[layout](classes)) == expected


@pytest.mark.parametrize("layout", ["one value for each image", "one-hot"])
@pytest.mark.parametrize("name", sorted({*OBJECTIVES} - {"plain"}))
def test_missing_labels_are_missing_in_each_layout(name, layout, x, classes):
    model, y = make_model(name), with_missing(classes)
    given = y if layout == "one value for each image" else F.one_hot(classes, 3).float()
    if layout == "one-hot":
        given[1] = torch.nan
    assert loss_of(name, model, x, given) == loss_of(name, model, x, y[:, None])


@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float64, torch.bfloat16])
def test_labels_of_any_dtype_are_those_of_the_models_dtype(x, dtype):
    model = make_model(labels=[Binary("Hat"), Binary("Beard")])
    y = torch.randint(2, (BATCH, 2))
    expected = loss_of("exact", model, x, y.float())
    assert loss_of("exact", model, x, y.to(dtype)) == expected
    assert generate(model, y.to(dtype)).dtype == torch.float32
    assert torch.equal(impute(model, x, y.to(dtype)), y.float())


WRONG_LABELS = {
    "another number of images": (lambda y: y[:5], r"wanted labels of (shape \(6, 1\)|6 images)"),
    "a row": (lambda y: y.T, r"wanted labels of (shape \(6, 1\)|6 images)"),
    "another number of columns": (lambda y: y.expand(-1, 2), r"wanted labels of shape \(6, 1\)"),
    "a class below 0": (lambda y: y - 1, "label 'Hair' is -1: wanted 0 .black. to 2 .red."),
    "a class that there is not": (lambda y: y + 1, "label 'Hair' is 3: wanted 0"),
    "a class and a half": (lambda y: y / 2, "label 'Hair' is 0.5: wanted 0"),
    "infinity": (lambda y: y + torch.inf, "label 'Hair' is inf: wanted 0"),
    "two hot": (lambda y: torch.ones(6, 3), r"wanted one-hot labels, .* got row 0: \[1.0, 1.0"),
    "an array": (lambda y: y.numpy(), "wanted labels as a tensor, got ndarray"),
    "a list": (lambda y: y.tolist(), "wanted labels as a tensor, got list"),
    "a number": (lambda y: 1.0, "wanted labels as a tensor, got float"),
    "no dimension": (lambda y: y[0, 0], r"wanted labels of (shape \(6, 1\)|6 images)"),
    "complex numbers": (
        lambda y: y + 1j,
        r"wanted labels as real numbers, got torch\.complex64",
    ),
}


@pytest.mark.parametrize("case", WRONG_LABELS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_other_labels_are_one_line_by_each_objective(name, case, x, classes):
    change, message = WRONG_LABELS[case]
    with pytest.raises(ValueError, match=message) as error:
        loss_of(name, make_model(name), x, change(classes[:, None].float()))
    one_line(error)


@pytest.mark.parametrize("case", WRONG_LABELS)
@pytest.mark.parametrize(
    "function",
    [
        lambda model, x, y: impute(model, x, y),
        lambda model, x, y: evaluate(model, [(x, y)]),
        lambda model, x, y: encode_all(model, [(x, y)]),
    ],
    ids=["impute", "evaluate", "encode_all"],
)
def test_other_labels_are_one_line_by_each_function(function, case, x, classes):
    change, message = WRONG_LABELS[case]
    with pytest.raises(BatchError, match=message):
        function(make_model(), x, change(classes[:, None].float()))


def test_a_binary_label_is_0_or_1_or_a_probability_where_images_are_generated(x):
    model, y = make_model(labels=[Binary("Hat")]), torch.full((BATCH, 1), 0.5)
    assert generate(model, y).shape == x.shape
    assert torch.equal(impute(model, x, y), y)
    for name in ("paper", "exact"):
        with pytest.raises(BatchError, match=r"label 'Hat' is 0.5: wanted 0 .false. to 1"):
            loss_of(name, model, x, y)
    with pytest.raises(BatchError, match="label 'Hat' is 7"):
        generate(model, y + 6.5)


FAR = "label 'Age' is {}: wanted at most 1e.06 standard deviations .10. from its mean .40., as "


@pytest.mark.parametrize("value", [1e30, -1e30, 1e8])
@pytest.mark.parametrize("name", ["paper", "exact", "plain", "m2", "diva", "mvae"])
def test_a_continuous_label_that_is_far_from_its_mean_spoils_no_weights(name, value, x):
    model, y = make_model(name, labels=MIXED), torch.tensor([[2.0, 1.0, 33.0]] * BATCH)
    before = copy.deepcopy(model.state_dict())
    y[4, 2] = value
    svi = SVI(model.model, model.guide, Adam({"lr": 0.1}), OBJECTIVES[name]())
    with (
        pyro.get_param_store().scope(),
        pytest.raises(BatchError, match="row 4, " + FAR.format(f"{value:g}".replace("+", "."))),
    ):
        svi.step(x, y)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    y[4, 2] = 9e6  # far, but a loss can still be computed
    assert math.isfinite(loss_of(name, model, x, y))


def test_a_continuous_label_that_is_far_from_its_mean_is_one_line_by_each_function(x):
    model, y = make_model(labels=MIXED), torch.tensor([[2.0, 1.0, 1e30]] * BATCH)
    for function in (
        lambda: generate(model, y),
        lambda: impute(model, x, y),
        lambda: evaluate(model, [(x, y)]),
    ):
        with pytest.raises(
            BatchError, match=r"row 0, label 'Age' is 1e.30: wanted at most"
        ) as error:
            function()
        one_line(error)
    with pytest.raises(ValueError, match=r"'Age' is set to 1e.30: wanted at most 1e.06 standard"):
        edit(model, x, "Age", 1e30)


def test_several_labels_are_never_broadcast(x):
    y = torch.zeros(BATCH, 3)
    model = make_model(labels=MIXED)
    for wrong in (y[:, :1], y[:1], y[0], torch.zeros(BATCH)):
        with pytest.raises(BatchError, match=r"wanted labels of shape \(6, 3\), a column"):
            loss_of("exact", model, x, wrong)
        with pytest.raises(BatchError, match=r"wanted labels of shape \(6, 3\), a column"):
            loss_of("paper", model, x, wrong)


def test_a_label_vector_in_generate_has_a_column_for_each_label():
    model = make_model(labels=MIXED)
    assert len(generate(model, torch.tensor([[2.0, 1.0, 33.0]]))) == 1
    for y in (torch.zeros(2, 2), torch.zeros(3), torch.zeros(0, 3)):
        with pytest.raises(ValueError, match="wanted labels of"):
            generate(model, y)


@pytest.mark.parametrize("name", ["exact", "m2", "diva"])
def test_images_are_generated_from_a_sample_of_missing_labels(name):
    y = torch.tensor([[0.0], [torch.nan]])
    assert torch.isfinite(generate(make_model(name), y)).all()


@pytest.mark.parametrize("name", ["cvae", "m1_m2"])
def test_without_a_label_prior_images_are_not_generated_from_missing_labels(name):
    y = torch.tensor([[0.0], [torch.nan]])
    with pytest.raises(BatchError, match=r"row 1, label 'Hair' is missing \(NaN\)"):
        generate(make_model(name), y)


def test_a_plain_model_names_the_label_that_is_missing(x, classes):
    model, y = make_model(), with_missing(classes)[:, None]
    with pytest.raises(BatchError, match=r"row 1, label 'Hair' is missing \(NaN\)") as error:
        poutine.trace(model.model).get_trace(x, y)
    one_line(error)
    with pytest.raises(BatchError, match=r"row 1, label 'Hair' is missing \(NaN\)"):
        loss_of("plain", model, x, y)


WRONG_IMAGES = {
    "0 to 255": (lambda x: x * 255, "wanted pixels between 0 and 1, got .* to 25"),
    "-1 to 1": (lambda x: 2 * x - 1, "wanted pixels between 0 and 1, got -0.9"),
    "bytes": (lambda x: (x * 255).byte(), "wanted images of torch.float32, .* got torch.uint8: b"),
    "float64": (lambda x: x.double(), "wanted images of torch.float32, .* got torch.float64"),
    "channels last": (
        lambda x: x.permute(0, 2, 3, 1),
        r"shape \(batch, 1, 28, 28\), got \(6, 28, 28, 1\): channels come first",
    ),
    "no channels": (lambda x: x[:, 0], r"shape \(batch, 1, 28, 28\), got \(6, 28, 28\)"),
    "three channels": (
        lambda x: x.expand(-1, 3, -1, -1),
        r"shape \(batch, 1, 28, 28\), got \(6, 3, 28, 28\)",
    ),
    "another size": (lambda x: x[..., 1:], r"\(batch, 1, 28, 28\), got \(6, 1, 28, 27\)"),
    "one image": (lambda x: x[0], r"got \(1, 28, 28\): one image is a batch of one"),
    "none": (lambda x: x[:0], r"wanted at least one image, got shape \(0, 1, 28, 28\)"),
    "NaN": (
        lambda x: x.index_fill(0, torch.tensor([3]), torch.nan),
        "wanted finite pixels, got NaN in row 3",
    ),
    "infinity": (lambda x: x + torch.inf, "wanted pixels between 0 and 1, got inf to inf"),
    "an array": (lambda x: x.numpy(), "wanted images as a tensor, got ndarray"),
    "a list": (lambda x: x.tolist(), "wanted images as a tensor, got list"),
    "complex numbers": (lambda x: x + 0j, r"wanted images as real numbers, got torch\.complex64"),
}


@pytest.mark.parametrize("case", WRONG_IMAGES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_other_images_are_one_line_by_each_objective(name, case, x):
    change, message = WRONG_IMAGES[case]
    x = change(x)
    y = torch.zeros(BATCH if case in ("one image", "an array", "a list") else len(x), 1)
    with pytest.raises(ValueError, match=message) as error:
        loss_of(name, make_model(name), x, y if case != "one image" else y[:1])
    one_line(error)


@pytest.mark.parametrize("case", WRONG_IMAGES)
@pytest.mark.parametrize(
    "function",
    [classify, predict, reconstruct, lambda model, x: walk(model, x, "Hair")],
    ids=["classify", "predict", "reconstruct", "walk"],
)
@pytest.mark.parametrize("name", ["exact", "m2"])
def test_other_images_are_one_line_by_each_intervention(name, function, case, x):
    change, message = WRONG_IMAGES[case]
    with pytest.raises(BatchError, match=message):
        function(make_model(name), change(x))


def test_images_have_the_channels_of_the_preset():
    model = celeba(z_dim=4, labels=[HAIR], channels=1)
    assert classify(model, torch.rand(2, 1, 64, 64)).shape == (2, 3)
    with pytest.raises(BatchError, match=r"\(batch, 1, 64, 64\), got \(2, 3, 64, 64\)"):
        classify(model, torch.rand(2, 3, 64, 64))


def test_a_model_of_unknown_size_compares_images_with_its_decoder(ccvae):
    ccvae.float()
    with pytest.raises(BatchError, match=r"of 2 dimensions, got shape \(2, 1, 8\)"):
        classify(ccvae, torch.rand(2, 1, 8))
    ccvae.encoder = Wide(ccvae.encoder)
    with pytest.raises(BatchError, match=r"wanted images of shape \(8,\), .* got \(1,\)"):
        loss_of("exact", ccvae, torch.rand(2, 1), torch.zeros(2, 3))  # it would broadcast


class Wide(torch.nn.Module):
    """An encoder that takes images of any number of pixels."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return self.encoder(x.mean(-1, keepdim=True).expand(-1, 8))


def test_any_finite_pixels_are_right_where_the_decoder_declares_no_range(x):
    class Decoder(torch.nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, z):
            return pyro.distributions.Normal(self.decoder(z).mean, 1.0).to_event(3)

    model = make_model()
    model.decoder = Decoder(model.decoder)
    assert classify(model, 9 * x - 4).shape == (BATCH, 3)
    with pytest.raises(BatchError, match="wanted pixels that are finite, got -inf"):
        classify(model, x.log() * torch.inf)


def test_a_step_checks_its_own_batch_and_not_the_last(x):
    model = make_model()
    svi = SVI(model.model, model.guide, Adam({}), ExactCCVAE_ELBO())
    y = torch.zeros(BATCH, 1)
    svi.step(x, y)
    y[3] = 5
    with pytest.raises(BatchError, match="row 3, label 'Hair' is 5"):
        svi.step(x, y)
    y[3] = 0
    svi.step(x, y)
    x[4] = torch.nan
    with pytest.raises(BatchError, match="NaN in row 4"):
        svi.step(x, y)


def test_an_accelerator_is_waited_for_in_the_first_step_that_is_right_only(x, monkeypatch):
    monkeypatch.setattr(_contract, "is_free_to_read", lambda _: False)
    model, y = make_model(), torch.zeros(BATCH, 1)
    for wrong in (255 * x, 2 * x - 1):
        with pytest.raises(BatchError, match="wanted pixels between 0 and 1"):
            loss_of("exact", model, wrong, y)
    loss_of("exact", model, x, y)
    one_hot = F.one_hot(torch.zeros(BATCH, dtype=torch.long), 3)
    checked = []
    with NothingIsRead():
        for labels in (y, y[:, 0], one_hot, one_hot.bool()):
            checked.append(model.checked_batch(255 * x, labels))
        _contract.check_not_missing(y, model.labels, can_wait=False)
    assert all(torch.equal(labels, y) for labels in checked)
    with pytest.raises(BatchError, match="wanted images of shape"):
        model.checked_batch(x[0], y)


class NothingIsRead(TorchDispatchMode):
    """Refuses operations that make the host wait for an accelerator."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket not in READS, f"{func} reads values"
        return func(*args, **kwargs or {})


aten = torch.ops.aten
READS = (aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select)


@pytest.mark.parametrize("name", ["paper", "exact", "m2"])
def test_a_bound_is_evaluated_in_inference_mode(name, x, classes):
    expected = loss_of(name, make_model(name).requires_grad_(False), x, classes)
    assert math.isfinite(expected)
    with torch.inference_mode():
        assert math.isfinite(loss_of(name, make_model(name), x.clone(), classes.clone()))


def test_values_are_not_compared_where_pyro_does_not_validate(x):
    model = make_model()
    with pyro.validation_enabled(False):
        loss_of("exact", model, 255 * x, torch.zeros(BATCH, 1))
        with pytest.raises(BatchError, match="wanted images of shape"):
            loss_of("exact", model, x[0], torch.zeros(BATCH, 1))


def test_checks_add_no_sites_and_change_no_results(x, classes):
    model = make_model()
    trace = poutine.trace(model.guide).get_trace(x, classes)
    assert [*trace.stochastic_nodes, *trace.observation_nodes] == ["data", "z_c", "z_style", "y"]
    assert torch.equal(trace.nodes["y"]["value"], classes[:, None].float())


def test_a_model_that_has_checked_a_batch_is_copied_and_pickled(x):
    model = make_model()
    model.checked_batch(x, None)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_close(classify(other, x), classify(model, x))


def test_the_accuracy_of_generated_images_is_that_of_labels_in_any_layout(classes):
    model, oracle = make_model(), make_model()
    for y in (classes[:, None].float(), classes, F.one_hot(classes, 3)):
        pyro.set_rng_seed(0)
        accuracy = conditional_generation_accuracy(model, oracle, y)
        pyro.set_rng_seed(0)
        assert accuracy == conditional_generation_accuracy(model, oracle, classes[:, None])
