"""A report of a training run: metrics, figures and settings on one HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import one_line, spaced
from ccvae_pyro.evaluation import verdict_messages
from ccvae_pyro.plotting.glossary import MEANINGS

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: auto;
       padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
figure { margin: 2rem 0; } figcaption { color: #555; } img { height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; } summary { cursor: pointer; margin: 1rem 0; }
h1, figcaption, td { overflow-wrap: anywhere; } td { max-width: 40rem; }
td:first-child { min-width: 12rem; }
.texts td:last-child, .texts th:last-child { text-align: left; color: #555; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1rem; color: #555; }
"""
PIXELS_PER_DOT = 1.3  # of figures: their text is then as large as a caption; wide ones scroll
# The page runs no script and loads nothing: whatever a name holds, a browser refuses the rest.
POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src "
POLICY += f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"


def write_report(
    path: Path,
    title: str,
    metrics: Mapping[str, Any],
    figures: Mapping[str, Path] | Mapping[str, Mapping[str, Path]],
    settings: Mapping[str, object] | None = None,
) -> None:
    """Writes a self-contained HTML page, with the images embedded.

    Its sections are the verdict, the metrics with their meanings, the figures, the metrics of each
    label, and the settings.

    :param path: the file, such as ``report.html``.
    :param metrics: the plain values of an :class:`~ccvae_pyro.evaluation.Evaluation`, from its
        ``to_dict``. Further numbers are shown as well, and a list ``verdict`` of findings: see
        :func:`~ccvae_pyro.evaluation.verdict_messages`.
    :param figures: the image file of each figure, by its caption; or such a mapping for each
        heading.
    :param settings: the settings of the run, by name.
    """
    title = escape(one_line(title))
    parts = [
        f"<h1>{title}</h1>",
        *_verdict(metrics),
        *_metrics(metrics),
        *_figures(figures),
        *_label_metrics(metrics.get("per_label", {})),
    ]
    if settings:
        rows = [{"setting": key, "value": value} for key, value in settings.items()]
        table = _table(rows, ["setting", "value"])
        parts.append(f"<details><summary>Settings</summary>{table}</details>")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = (
        f'<!doctype html><html lang="en"><head>{head}<title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    with atomic_write(path) as part:
        part.write_text(page, encoding="utf-8")


def _verdict(metrics: Mapping[str, Any]) -> list[str]:
    items = [f"<li>{escape(_sentence(message))}</li>" for message in verdict_messages(metrics)]
    return [f"<h2>Verdict</h2><ul>{''.join(items)}</ul>"] if items else []


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    """A table of all numbers, and what they mean."""
    keys = ("metric", "value", "meaning")
    rows = [
        dict(zip(keys, (key, value, _sentence(MEANINGS.get(key, ""))), strict=True))
        for key, value in metrics.items()
        if isinstance(value, int | float)
    ]
    return ["<h2>Metrics</h2>", _table(rows, keys, "texts")] if rows else []


def _figures(figures: Mapping[str, Path] | Mapping[str, Mapping[str, Path]]) -> list[str]:
    """The figures below their headings."""
    parts, without_heading = [], {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            parts.append(f"<h2>{escape(one_line(name))}</h2>")
            parts += [_figure(caption, file) for caption, file in value.items()]
        else:
            without_heading[name] = value
    if without_heading:
        parts.append("<h2>Figures</h2>")
        parts += [_figure(caption, file) for caption, file in without_heading.items()]
    return parts


def _label_metrics(per_label: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of the metrics of all labels of a kind, and what the metrics mean."""
    by_kind: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for name, values in per_label.items():
        row = {"label": name} | {k: v for k, v in values.items() if not isinstance(v, list)}
        by_kind.setdefault(tuple(row), []).append(row)
    if not by_kind:
        return []
    used = dict.fromkeys(key for keys in by_kind for key in keys if key in MEANINGS)
    terms = [f"<dt>{spaced(key)}</dt><dd>{_sentence(MEANINGS[key])}</dd>" for key in used]
    tables = [_table(rows, keys) for keys, rows in by_kind.items()]
    glossary = f"<details><summary>What they mean</summary><dl>{''.join(terms)}</dl></details>"
    return ["<h2>Metrics of each label</h2>", *tables, glossary]


def _sentence(text: str) -> str:
    """A text with a capital letter at its start and a period at its end."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _table(
    rows: Sequence[Mapping[str, object]], keys: Sequence[str], style: str = "numbers"
) -> str:
    head = "".join(f"<th>{escape(spaced(key))}</th>" for key in keys)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_format(row[key]))}</td>' for key in keys)}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table class="{style}"><tr>{head}</tr>{body}</table></div>'


def _figure(caption: str, file: Path) -> str:
    packed = BytesIO()  # WebP takes a tenth of the space of PNG
    with Image.open(file) as image:
        width = round(image.width / PIXELS_PER_DOT)
        image.convert("RGB").save(packed, "WEBP", quality=90)
    text = escape(one_line(caption))
    data = base64.b64encode(packed.getvalue()).decode()
    return (
        f'<figure><div class="wide"><img alt="{text}" width="{width}" '
        f'src="data:image/webp;base64,{data}"></div><figcaption>{text}</figcaption></figure>'
    )


def _format(value: object) -> str:
    """The text of a cell."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return "" if value is None else spaced(str(value))
