"""The HTML page that `dvc plots show` fills: Vega's scripts are inside, so that it works without the network."""

import json

from nnrobust.figures.gallery import TITLES

SCRIPT_FLAW = "</script"
STYLE = """
body { font-family: system-ui, sans-serif; line-height: 1.4; margin: 0 auto; padding: 1rem 2rem; max-width: 84rem; color: #222; }
section { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
section > div { box-sizing: border-box; flex: 1 1 auto; min-width: min(36rem, 100%); max-width: 100%; overflow-x: auto; }
h2 { font-size: 1.25rem; font-weight: bold; margin: 2rem 0 1rem; }
#figures > div { display: flex; flex: 1 1 36rem; flex-wrap: wrap; gap: 0 1rem; padding: 0.75rem;
  border: 1px solid #ddd !important; text-align: left !important; white-space: normal !important; }
#figures > div:has(div + div) { flex-basis: 100%; }
#figures > div[id^="plots_images_figure"] { order: -1; }
#figures > div > p { width: 100%; margin: 0; font-weight: bold; }
#figures > div > div { flex: 0 1 38rem; margin: 0 !important; border: 0 !important; }
#figures div div p { margin: 0.5rem 0; color: #555; }
img { max-width: 100%; height: auto; }
@media (max-width: 40rem) { body { padding: 0.5rem; } }
"""
SCRIPT = """
const place = (name) => document.getElementById(name);
const lines = (text, length) => {
  const found = [""];
  for (const word of [text].flat().join(" ").split(" ")) {
    if ((found.at(-1) + word).length >= length && found.at(-1)) found.push("");
    found[found.length - 1] += (found.at(-1) ? " " : "") + word;
  }
  return found;
};
// Titles, plots and legends take no more room than the page has.
const fit = (spec) => {
  const room = place("plots").clientWidth, around = 110;
  const one = spec.spec ?? spec;
  one.width = Math.max(150, Math.min(one.width, room - around));
  if (!spec.facet) one.height = Math.min(one.height, one.width);
  if (spec.facet) spec.columns = Math.max(1, Math.floor(room / (one.width + around)));
  if (room < 560) {
    spec.title.text = lines(spec.title.text, room / 7.5);
    spec.title.subtitle = lines(spec.title.subtitle, room / 6.2);
    spec.config = { legend: { columns: 2, labelLimit: room / 2 - 40 }, axis: { titleLimit: room - 20 }, title: { fontSize: 12 } };
  }
};
window.vegaEmbed = (name, spec) => {
  const plot = document.querySelector(name);
  if (!spec.data) return plot.remove();
  fit(spec);
  return vegaEmbed(plot, spec, { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } });
};
document.addEventListener("DOMContentLoaded", () => {
  for (const plot of [...place("plots").children]) {
    const images = plot.querySelectorAll("img");
    if (!images.length) continue;
    const heading = plot.querySelector("p"), file = heading.textContent.split("/").at(-1).replace(/\\.\\w+$/, "");
    heading.title = heading.textContent;
    heading.textContent = TITLES[file] ?? heading.textContent;
    for (const image of images) image.alt = heading.textContent;
    place("figures").append(plot);
  }
  for (const section of document.querySelectorAll("section")) section.parentElement.hidden = !section.children.length;
});
"""
"""Leaves out a plot whose files are all absent, titles figures, sets revisions side by side where there is room."""


def plots_page() -> str:
    """A template for DVC's `plots.html_template`, with Vega's scripts themselves in place of DVC's links to them."""
    import vl_convert

    titles = {name: title.format("a network" if name == "figure_1" else "1NN") for name, title in TITLES.items()}
    script = f"const TITLES = {json.dumps(titles, ensure_ascii=False)};{SCRIPT}"
    bundle = vl_convert.javascript_bundle(script).replace(SCRIPT_FLAW, "<\\/script")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
{{refresh_tag}}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>nnrobust: plots</title>
<style>{STYLE}</style>
<script>
{bundle}
</script>
</head>
<body>
<h1>nnrobust: plots</h1>
<p>Point at a mark for its numbers. Exact: proven from both sides; certified: proven, may be higher; attacked: may be lower;
published: somebody else's. The captions are in report/index.html.</p>
<div>
<section id="plots">
{{plot_divs}}
</section>
</div>
<div>
<h2>Figures</h2>
<section id="figures"></section>
</div>
</body>
</html>
"""
