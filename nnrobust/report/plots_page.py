"""The HTML page that `dvc plots show` fills: Vega's scripts are inside, so that it works without the network."""

SCRIPT_FLAW = "</script"
STYLE = """
body { font-family: system-ui, sans-serif; line-height: 1.4; margin: 0 auto; padding: 1rem 2rem; max-width: 84rem; color: #222; }
section { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
section > div { box-sizing: border-box; flex: 1 1 auto; min-width: min(36rem, 100%); max-width: 100%; overflow-x: auto; }
h2 { font-size: 1.25rem; font-weight: bold; margin: 2rem 0 1rem; }
#figures > div { display: flex; flex: 1 1 36rem; flex-wrap: wrap; gap: 0 1rem; padding: 0.75rem;
  border: 1px solid #ddd !important; text-align: left !important; }
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
window.vegaEmbed = (name, spec) => {
  const plot = document.querySelector(name);
  if (!spec.data) return plot.remove();
  if (spec.facet) {
    const room = place("plots").clientWidth;
    spec.spec.width = Math.min(spec.spec.width, room - 60);
    spec.columns = Math.max(1, Math.floor(room / (spec.spec.width + 60)));
  }
  return vegaEmbed(plot, spec, { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } });
};
document.addEventListener("DOMContentLoaded", () => {
  for (const plot of [...place("plots").children]) {
    const images = plot.querySelectorAll("img");
    for (const image of images) image.alt = plot.querySelector("p").textContent;
    if (images.length) place("figures").append(plot);
  }
  for (const section of document.querySelectorAll("section")) section.parentElement.hidden = !section.children.length;
});
"""
"""Leaves out a plot whose files are all absent, sets revisions side by side where there is room, links to nothing."""


def plots_page() -> str:
    """A template for DVC's `plots.html_template`, with Vega's scripts themselves in place of DVC's links to them."""
    import vl_convert

    bundle = vl_convert.javascript_bundle(SCRIPT).replace(SCRIPT_FLAW, "<\\/script")
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
<p>Point at a mark for its numbers. Exact: proven from both sides; certified: proven, may be higher; attacked: may be lower.</p>
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
