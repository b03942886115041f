"""The page of an evaluation: one file of HTML, which opens from disk and loads nothing."""

import html
import json
from collections.abc import Mapping
from string import Template

import pandas as pd

_KINDS = (
    "Robust accuracy in percent with 95 % Wilson intervals, of images perturbed within [0, 1]. exact: proven from both sides; "
    "certified: a lower bound; attacked: what the attacks left standing, an upper bound; >=: what linear bounds prove of "
    "a network. union: robust under all threat models."
)
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8886; }
body { max-width: 70rem; margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2.5rem) 4rem; font: 1rem/1.6 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); font-size: .875rem; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$kinds</p>
<div class="wide" tabindex="0" role="region" aria-label="Accuracies">
$table
</div>
<h2>By attack</h2>
<p>Images that each attack fooled first, of those that were right unperturbed.</p>
<div class="wide" tabindex="0" role="region" aria-label="Attacks">
$methods
</div>
<h2>Notes</h2>
$notes
<h2>What was run</h2>
<pre tabindex="0">$about</pre>
</main>
</body>
</html>
""")


def page(table: pd.DataFrame, records: pd.DataFrame, about: Mapping[str, object]) -> str:
    """The page of a table, with what the records add to it; whatever they say appears as text, never as markup."""
    fallen = records[(records["kind"] == "attacked") & records["is_correct"] & ~records["is_robust"]]
    methods = fallen.groupby(["classifier", "norm", "method"], sort=False).size().rename("images").reset_index()
    return _PAGE.substitute(
        title=f"nnrobust: {len(table)} classifiers on {int(table['n'].iloc[0])} images",
        kinds=html.escape(_KINDS),
        table=_html(table),
        methods=_html(methods) if len(methods) else "<p>None.</p>",
        notes=_notes(records),
        about=html.escape(json.dumps(about, indent=2, sort_keys=True)),
    )


def _html(table: pd.DataFrame) -> str:
    return table.to_html(index=False, border=0, escape=True)


def _notes(records: pd.DataFrame) -> str:
    noted = records[(records["note"] != "") | (records["status"] != "ok")]
    if noted.empty:
        return "<p>None.</p>"
    return _html(noted.groupby(["classifier", "norm", "note", "status"]).size().rename("images").reset_index())
