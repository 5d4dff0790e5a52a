"""The package, the examples and the docs use the standard terms of the field."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ("ccvae_pyro/**/*.py", "examples/*.py", "*.md", "docs/**/*.md", "docs/**/*.py")
PATTERNS += ("docs/explorer/*.js", "docs/explorer/*.html")
EXEMPT = {"CHANGELOG.md", "_migration.py"}  # these relate old names to new ones
FILES = sorted(
    path
    for pattern in PATTERNS
    for path in ROOT.glob(pattern)
    if path.name not in EXEMPT and not {"node_modules", "_build"} & set(path.parts)
)

# A regular expression for each word that was replaced, and the term to use instead.
WORDS = {
    r"\borders? met\b|\borders_met\b|\bmeets? (more |as many |fewer )?orders\b": (
        "conditional generation accuracy"
    ),
    r"\bto order\b|\b(was|were|is) ordered\b": "target labels, conditional generation",
    r"\border[-_ ]weights?\b|\bterm about orders\b": "label consistency, consistency weight",
    r"\bedits? met\b|\bedits_met\b|\beffectiveness of orders\b": "edit accuracy",
    r"\b(a|the|an independent|independent|our|same|better|poor|good) readers?\b(?! of)": "oracle",
    r"--reader\b|\breader_epochs\b|\bload_reader\b": "oracle classifier",
    r"\breads? [^.;:|\n]{0,40}\boff\b|\breading labels\b|\bread_off\b": "predict labels",
    r"\bread accuracy\b|\bread_accuracy\b|\bread right\b": "(conditional generation) accuracy",
    r"\bjudg(e|es|ed|ing)\b": "benchmark, evaluate",
    r"\bknows nothing\b|\bto be beaten\b|\bhas to beat\b": "trivial baseline",
    r"\brows? of (labels|values)\b": "label vector, sample dimension",
    r"\bline posterior\b|\bline_posterior\b|\brow_posterior\b": "conjugate Gaussian posterior",
    r"\brow_messenger\b|\b(classifier|prior)_probe\b|\bprior_rows\b": "types of distributions",
    r"\bnested_paths\b|\bbinary decisions\b|\bby decisions\b": "nested dichotomies, sign matrix",
    r"\blabels? that (is|are) (a )?numbers?\b": "continuous label",
    r"(?<!standard )(?<!standard\n)(?<!absolute )\bdeviations?\b": "standard deviation",
    r"\bused[ _]draw\b|\bfurther draws\b": "the sample the ELBO is evaluated at, the K samples",
    r"\bcool[-_ ]?down\b": "learning-rate decay, decay fraction",
    r"\blast[-_]weight\b": "final weight",
    r"(?<!\")\brecipes?\b|\bfrom_recipe\b|\bdescribed\(\)": "config",
    r"\bcome[-_ ]along\b|\bcomes along\b|\bmake[-_ ]?way\b|\bmakeWay\b": "resolve exclusions",
    r"\bnudg(e|es|ed|ing)\b|\bapproach\(": "shift, interpolate_to_label",
    r"\bthe relatives\b|\bits relatives\b|\brelatives\b|\bthe family\b": "baselines",
    r"\bclimb(s|ed|ing)?\b": "maximize",
    r"\bfirst_on_machine\b|\branks\.joined\b": "local_main_process_first, process_group",
    r"\bunstopped\b|\bTiltedCCVAE_ELBO\b": "paper-true-gradient, ExactCCVAE_ELBO",
    r"\bwhole or not at all\b|\bwritten_whole\b": "atomically",
    r"\bmakes? of (it|them|an?|the)\b|\bwhat stands for\b": "output for, represents",
    r"\bas sure as\b|\bhow sure\b|\bcertainty\b(?!\.csv)": "probability, confidence",
    r"\bknows? of no\b|\bof ones own\b|\bof one's own\b": "plain English",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_uses_the_terms_of_the_field(path):
    text = path.read_text()
    found = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}; use: {instead}"
        for pattern, instead in WORDS.items()
        for match in re.finditer(pattern, text, flags=re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize(
    "sentence",
    [
        "faces generated to order",
        "an independent reader finds them",
        "the labels are read off the image",
        "a share of steps, --cool-down",
    ],
)
def test_a_replaced_word_is_found(sentence):
    assert any(re.search(pattern, sentence) for pattern in WORDS)


@pytest.mark.parametrize(
    "sentence",
    [
        "in the order of the columns of y",
        "one standard deviation above the mean",
        "in order to train",
        "rows of the array are images",
    ],
)
def test_plain_english_is_not(sentence):
    assert not any(re.search(pattern, sentence) for pattern in WORDS)
