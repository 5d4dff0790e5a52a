"""Custom parts: the page on extending runs, its table holds, and other parts work as well."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import pytest
import torch
import torch.nn.functional as F
from helpers import BATCH, NUM_LABELS, NUM_STYLE, assert_refused, rows_of, run_example
from PIL import Image
from pyro.distributions import transforms
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import nn
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import (
    CCVAE,
    CCVAE_ELBO,
    ExactCCVAE_ELBO,
    check_factorization,
    with_bayes_classifier,
)
from ccvae_pyro.distributions import LabelwisePrior
from ccvae_pyro.distributions.label_vector import label_groups
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.evaluation import importance_weights, log_p_x
from ccvae_pyro.models.base import register

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
CELL = r"```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::\w+:[^\n]*\n)+\n)?(.*?)```"
NAN = torch.nan


def cells():
    """The cells of the page, in order, with few training steps."""
    code = re.findall(CELL, PAGE.read_text(), flags=re.S)
    code = [re.sub(r"num_steps=\d+", "num_steps=3", cell) for cell in code]
    return [re.sub(r"for _ in range\(\d+\)", "for _ in range(3)", cell) for cell in code]


def test_the_page_runs_from_its_first_cell_to_its_last(tmp_path, monkeypatch, capsys):
    torch.set_default_dtype(torch.float32)
    monkeypatch.setattr(plt, "show", lambda: None)
    monkeypatch.chdir(tmp_path)
    names = {}
    try:
        for cell in cells():
            exec(cell, names)
    finally:
        plt.close("all")
        plt.rcdefaults()
    said = capsys.readouterr().out
    assert said.count(": CCVAE_ELBO takes any model and guide") == 6
    assert "Trace Shapes" not in said
    ours, hidden, seen, log_q_y_x = (
        float(re.search(rf"^{name} +(-?[\d.]+)", said, flags=re.M)[1])
        for name in ("CCVAE_ELBO", "Trace_ELBO, the site hidden", "Trace_ELBO", r"log q\(y \| x\)")
    )
    assert (ours, seen) == pytest.approx((hidden, hidden + log_q_y_x), abs=2e-3)


class LogisticPrior(nn.Module):
    """A logistic distribution for each label."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor([-2.0, 2.0])[:, None].repeat(1, NUM_LABELS))
        self.raw_scale = nn.Parameter(torch.zeros(2, NUM_LABELS))

    def given(self, y):
        loc, raw_scale = (torch.lerp(p[0], p[1], y) for p in (self.loc, self.raw_scale))
        base = dist.Uniform(torch.zeros_like(loc), torch.ones_like(loc))
        steps = [
            transforms.SigmoidTransform().inv,
            transforms.AffineTransform(loc, F.softplus(raw_scale)),
        ]
        return dist.TransformedDistribution(base, steps)

    def forward(self, y):
        return LabelwisePrior(self.given, y)


class StudentPrior(LogisticPrior):
    def given(self, y):
        loc, raw_scale = (torch.lerp(p[0], p[1], y) for p in (self.loc, self.raw_scale))
        return dist.StudentT(3.0, loc, F.softplus(raw_scale))


class NormalPrior(LogisticPrior):
    def given(self, y):
        loc, raw_scale = (torch.lerp(p[0], p[1], y) for p in (self.loc, self.raw_scale))
        return dist.Normal(loc, F.softplus(raw_scale))


class CovariancePrior(nn.Module):
    """A joint Normal with correlated characteristics."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor([-2.0, 2.0])[:, None].repeat(1, NUM_LABELS))
        self.tril = nn.Parameter(torch.eye(NUM_LABELS))

    def forward(self, y):
        loc = torch.lerp(self.loc[0], self.loc[1], y)
        return dist.MultivariateNormal(loc, scale_tril=self.tril.tril())


class NetworkPrior(nn.Module):
    """A product of Normals, each of which depends on all labels."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(NUM_LABELS, 2 * NUM_LABELS)

    def forward(self, y):
        loc, raw_scale = self.network(y).chunk(2, dim=-1)
        return dist.Normal(loc, F.softplus(raw_scale)).to_event(1)


LABELWISE = (NormalPrior, LogisticPrior, StudentPrior)
JOINT = (CovariancePrior, NetworkPrior)


def unlabeled(batch):
    """The batch with one image without labels."""
    x, y = batch
    y = y.clone()
    y[0] = NAN
    return x, y


def missing(batch):
    """The batch with one image without labels and one with a single missing label."""
    x, y = unlabeled(batch)
    y[1, 1] = NAN
    return x, y


def assert_trains(ccvae, part, objective, batch, num_steps=40):
    """Checks that every parameter of a part changes and the loss decreases."""
    before = [p.clone() for p in part.parameters()]
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-2}), loss=objective)
    losses = [svi.step(*batch) for _ in range(num_steps)]
    assert all(not torch.equal(p, old) for p, old in zip(part.parameters(), before, strict=True))
    assert sum(losses[-10:]) < sum(losses[:10])


@pytest.mark.parametrize("prior", LABELWISE)
@pytest.mark.parametrize(
    ("objective", "hide"), [(ExactCCVAE_ELBO(1.0), missing), (CCVAE_ELBO(10), unlabeled)]
)
def test_a_labelwise_prior_trains_with_either_objective(ccvae, batch, prior, objective, hide):
    ccvae.conditional_prior = prior()
    check_factorization(ccvae, *batch)
    assert_trains(ccvae, ccvae.conditional_prior, objective, hide(batch))


@pytest.mark.parametrize("prior", LABELWISE)
def test_the_objectives_agree_on_a_labelwise_prior(ccvae, batch, prior):
    ccvae.conditional_prior, x = prior(), batch[0]
    exact = ExactCCVAE_ELBO(num_particles=2_000, vectorize_particles=True)
    drawn = CCVAE_ELBO(num_particles=2_000, vectorize_particles=True)
    losses = [elbo.loss(ccvae.model, ccvae.guide, x) for elbo in (exact, drawn)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


@pytest.mark.parametrize("prior", JOINT)
def test_a_joint_prior_trains_with_the_papers_objective_only(ccvae, batch, prior):
    ccvae.conditional_prior = prior()
    assert_trains(ccvae, ccvae.conditional_prior, CCVAE_ELBO(10), unlabeled(batch))
    assert_trains(ccvae, ccvae.conditional_prior, CCVAE_ELBO(10), batch[:1], num_steps=60)
    with pytest.raises(NotFactorizedError, match=r"'z_c' of the model is .*: CCVAE_ELBO takes"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)
    with pytest.raises(ValueError, match="single labels of an image are missing"):
        CCVAE_ELBO().loss(ccvae.model, ccvae.guide, *missing(batch))


def test_a_prior_of_classes_that_declares_nothing_is_for_the_papers_objective():
    labels = [ccvae_pyro.Categorical("Hair", ("a", "b", "c")), ccvae_pyro.Binary("Hat")]
    ccvae = ccvae_pyro.mnist(z_dim=8, labels=labels)
    default = ccvae.conditional_prior

    class LaplacePrior(nn.Module):
        def forward(self, y):
            fn = default(y)
            return dist.Laplace(fn.mean, fn.variance.sqrt()).to_event(1)

    ccvae.conditional_prior = LaplacePrior()
    x, y = torch.rand(2, 1, 28, 28), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    assert CCVAE_ELBO(5).loss(ccvae.model, ccvae.guide, x, y) > 0
    assert CCVAE_ELBO(5).loss(ccvae.model, ccvae.guide, *unlabeled((x, y))) > 0
    with pytest.raises(NotFactorizedError, match=r"'z_c' of the model is .*Laplace"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2), (2, 0)])
def test_check_factorization_finds_a_dependence_on_one_other_label(ccvae, batch, pair):
    default, (index, other) = ccvae.conditional_prior, pair

    class DependentPrior(nn.Module):
        """Declares itself labelwise, although one characteristic depends on two labels."""

        def given(self, y):
            prior = default(y)
            shift = torch.zeros_like(prior.mean)
            shift[..., index] = y[..., other]
            return dist.Normal(prior.mean + shift, prior.variance.sqrt())

        def forward(self, y):
            return LabelwisePrior(self.given, y)

    check_factorization(ccvae, *batch)
    ccvae.conditional_prior = DependentPrior()
    with pytest.raises(NotFactorizedError):
        check_factorization(ccvae, *batch)


class FlowEncoder(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.z_c = transforms.affine_autoregressive(NUM_LABELS, hidden_dims=[8])
        self.of_style = transforms.affine_autoregressive(NUM_STYLE, hidden_dims=[8])

    def forward(self, x):
        q_z_c, q_z_style = self.encoder(x)
        z_c = dist.TransformedDistribution(q_z_c, [self.z_c])
        return z_c, dist.TransformedDistribution(q_z_style, [self.of_style])


def test_a_distribution_without_a_closed_form_mean_uses_samples(ccvae, batch):
    x = batch[0]
    ccvae.encoder, ccvae.conditional_prior = FlowEncoder(ccvae.encoder), LogisticPrior()
    state = torch.get_rng_state()
    z_c, z_style = ccvae.encode(x)
    mean, deviation = ccvae.latent_prior(1, 1.0)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        many = [q.sample((20_000,)).mean(0) for q in ccvae.encoder(x)]
    assert_close(z_c, many[0], atol=0.25, rtol=0)
    assert_close(z_style, many[1], atol=0.25, rtol=0)
    scale = F.softplus(torch.tensor(0.0)).item()
    assert_close(mean, torch.tensor([2.0]), atol=0.3, rtol=0)
    assert_close(deviation, torch.tensor([scale * torch.pi / 3**0.5]), atol=0.2, rtol=0)
    assert torch.equal(ccvae_pyro.edit(ccvae, x, 1, 1), ccvae_pyro.edit(ccvae, x, 1, 1))
    assert ccvae_pyro.evaluate(ccvae, [batch]).accuracy >= 0


class FlatDecoder(nn.Module):
    """A decoder for inputs with one batch dimension."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z):
        assert z.dim() == 2
        return self.decoder(z)


def test_a_decoder_needs_one_batch_dimension_only(ccvae, batch):
    x, y = batch
    expected = [ccvae_pyro.walk(ccvae, x, 0), ccvae_pyro.interpolate(ccvae, x, x.flip(0))]
    pyro.set_rng_seed(1)
    expected.append(importance_weights(ccvae, x, y, num_samples=30).images)
    ccvae.decoder = FlatDecoder(ccvae.decoder)
    found = [ccvae_pyro.walk(ccvae, x, 0), ccvae_pyro.interpolate(ccvae, x, x.flip(0))]
    pyro.set_rng_seed(1)
    found.append(importance_weights(ccvae, x, y, num_samples=30).images)
    assert_close(found, expected)


@pytest.mark.parametrize("prior", LABELWISE)
def test_the_bayes_classifier_takes_any_labelwise_prior(ccvae, prior):
    ccvae.conditional_prior = prior()
    z_c, y = torch.randn(6, NUM_LABELS), torch.tensor([0.0, 1.0])[:, None, None]
    p_y = ccvae.label_prior().base_dist
    p_z = ccvae.conditional_prior.given(y.expand(2, 6, NUM_LABELS))
    joint = (p_y.log_prob(y) + p_z.log_prob(z_c)).exp()
    (group,) = label_groups(with_bayes_classifier(ccvae).classifier(z_c))
    assert_close(group.distribution.probs, joint[1] / joint.sum(0))


@pytest.mark.parametrize("prior", JOINT)
def test_the_bayes_classifier_rejects_a_joint_prior(ccvae, batch, prior):
    ccvae.conditional_prior = prior()
    with pytest.raises(ValueError, match="returns a LabelwisePrior, got "):
        log_p_x(ccvae, batch[0], 5)


class LabelGivenCCVAE(CCVAE):
    """A CCVAE with the guide q(y | x) q(z | x, y)."""

    def guide(self, x, y=None):
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            is_labeled = y is not None
            y = pyro.sample("y", self.classifier(x), obs=y, infer={"is_auxiliary": is_labeled})
            q_z_c, q_z_style = self.encoder(torch.cat([x, y], dim=1))
            pyro.sample("z_c", q_z_c)
            pyro.sample("z_style", q_z_style)


def make_label_given(ccvae):
    class Classifier(nn.Linear):
        def forward(self, x):
            return dist.Bernoulli(logits=super().forward(x)).to_event(1)

    size = 8 + NUM_LABELS
    encoder = ccvae_pyro.components.GaussianEncoder(
        nn.Linear(size, 2 * (NUM_LABELS + NUM_STYLE)), (NUM_LABELS, NUM_STYLE)
    )
    parts = (encoder, ccvae.decoder, Classifier(8, NUM_LABELS), ccvae.conditional_prior)
    return LabelGivenCCVAE(*parts, ccvae.style_prior, ccvae.label_prior)


def test_a_guide_that_depends_on_the_label_trains_with_and_without_labels(ccvae, batch):
    label_given = make_label_given(ccvae)
    objective = CCVAE_ELBO(5, classification_weight=5.0)
    assert_trains(label_given, label_given.classifier, objective, batch)
    assert_trains(label_given, label_given.encoder, objective, batch[:1], num_steps=60)
    with pytest.raises(ValueError, match="single labels of an image are missing"):
        objective.loss(label_given.model, label_given.guide, *missing(batch))
    with pytest.raises(NotFactorizedError, match=r"'y' of the guide is .*: wanted AffineLabels"):
        ExactCCVAE_ELBO().loss(label_given.model, label_given.guide, *batch)


def test_such_a_guide_has_the_plain_bound_for_labeled_images(ccvae, batch):
    label_given = make_label_given(ccvae)
    blind = pyro.poutine.block(label_given.guide, hide=["y"])
    pyro.set_rng_seed(1)
    expected = Trace_ELBO().loss(label_given.model, blind, *batch)
    pyro.set_rng_seed(1)
    assert CCVAE_ELBO().loss(label_given.model, label_given.guide, *batch) == pytest.approx(
        expected
    )


def test_an_error_in_a_guide_is_not_hidden(ccvae, batch):
    label_given = make_label_given(ccvae)
    label_given.encoder.features = nn.Linear(5, 2 * (NUM_LABELS + NUM_STYLE))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        CCVAE_ELBO(5).loss(label_given.model, label_given.guide, batch[0])


def test_an_error_is_one_line(ccvae, batch):
    ccvae.conditional_prior = CovariancePrior()
    with pytest.raises(NotFactorizedError) as caught:
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)
    message = str(caught.value)
    assert message.startswith("'z_c' of the model is MultivariateNormal")
    assert "CCVAE_ELBO takes any model and guide" in message
    assert "\n" not in message


def test_predicting_from_an_unsupported_label_distribution_is_an_error(ccvae, batch):
    class OneHot(nn.Module):
        def forward(self, z_c):
            return dist.OneHotCategorical(logits=z_c)

    ccvae.classifier = OneHot()
    with pytest.raises(ValueError, match=r"wanted LabelVector or .*got OneHotCategorical"):
        ccvae_pyro.classify(ccvae, batch[0])


def test_weights_in_channels_last_format_are_trained(batch):
    ccvae = ccvae_pyro.celeba(num_labels=3, z_dim=5).to(memory_format=torch.channels_last)
    before = {name: p.clone() for name, p in ccvae.named_parameters()}
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=CCVAE_ELBO(5))
    svi.step(torch.rand(4, 3, 64, 64), batch[1])
    assert [n for n, p in ccvae.named_parameters() if torch.equal(p, before[n])] == []


class Cautious(ccvae_pyro.components.DiagonalClassifier):
    """A subclass with the same parameters and a different function."""

    def forward(self, z_c):
        return dist.Bernoulli(logits=(self.weight * z_c + self.bias).tanh()).to_event(1)


def test_loading_a_model_with_a_custom_part_requires_the_model(tmp_path):
    def make():
        ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5)
        ccvae.classifier = Cautious(3)
        return ccvae

    saved, x = make(), torch.rand(2, 1, 28, 28)
    ccvae_pyro.save(tmp_path / "own.pt", saved)
    with pytest.raises(ccvae_pyro.CheckpointError, match="pass the model as `model`"):
        ccvae_pyro.load(tmp_path / "own.pt")
    loaded = ccvae_pyro.load(tmp_path / "own.pt", model=make())
    assert torch.equal(ccvae_pyro.classify(loaded, x), ccvae_pyro.classify(saved, x))


@pytest.mark.parametrize("leading", [(), (BATCH,), (2, BATCH)])
def test_parts_have_the_shapes_of_the_table(ccvae, leading):
    z_c, y = torch.randn(*leading, NUM_LABELS), torch.ones(*leading, NUM_LABELS)
    of_rows = (ccvae.classifier(z_c), ccvae.conditional_prior(y))
    assert {(fn.batch_shape, fn.event_shape) for fn in of_rows} == {(leading, (NUM_LABELS,))}
    alone = (ccvae.style_prior(), ccvae.label_prior())
    assert [(fn.batch_shape, fn.event_shape) for fn in alone] == [
        ((), (NUM_STYLE,)),
        ((), (NUM_LABELS,)),
    ]


def test_three_priors_are_compared(avatars_root, tmp_path):
    small = ["--root", avatars_root, "--num-images", 120, "--epochs", 1, "--oracle-epochs", 1]
    small += ["--attributes", "Beard", "Sunglasses", "--batch-size", 25, "--out", tmp_path]
    result = run_example("swap_prior.py", *small)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path / "swap_prior.csv")
    assert [row["prior"] for row in rows] == ["Normal", "mixture", "flow"]
    figures = [list(map(float, list(row.values())[1:])) for row in rows]
    assert all(0 <= figure <= 1 for row in figures for figure in row)
    assert len({tuple(row) for row in figures}) == 3
    assert "| flow |" in result.stdout
    with Image.open(tmp_path / "swap_prior.png") as picture:
        assert picture.width > 1_000
    before = (tmp_path / "flow" / "checkpoint.pt").read_bytes()
    assert run_example("swap_prior.py", *small).returncode == 0
    assert (tmp_path / "flow" / "checkpoint.pt").read_bytes() == before
    other = run_example("swap_prior.py", *small, "--attributes", "Beard", "Wearing_Hat")
    assert other.returncode == 2
    assert "was trained with --attributes ['Beard', 'Sunglasses'], not" in other.stderr


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--attributes", "Beart"], "no label is called 'Beart': did you mean Beard"),
        (["--priors", "uniform"], "invalid choice: 'uniform'"),
        (["--batch-size", "1000"], "the batch size must be between 1 and"),
    ],
)
def test_invalid_options_of_the_comparison_of_priors_are_errors(
    avatars_root, tmp_path, wrong, message
):
    out = tmp_path / "out"
    places = ["--root", avatars_root, "--num-images", 120, "--out", out]
    assert_refused(run_example("swap_prior.py", *places, *wrong), message, out)
