"""The HTML page that `dvc plots show` fills: Vega's scripts are inside, so that it works without the network."""

SCRIPT_FLAW = "</script"


def plots_page() -> str:
    """A template for DVC's `plots.html_template`, with Vega's scripts themselves in place of DVC's links to them."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace(SCRIPT_FLAW, "<\\/script")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
{{refresh_tag}}
<meta charset="utf-8">
<title>nnrobust: plots</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem; max-width: 80rem; }}
img {{ max-width: 100%; height: auto; }}
table {{ border-spacing: 15px; }}
</style>
<script>
{bundle}
</script>
</head>
<body>
<h1>nnrobust: plots</h1>
{{plot_divs}}
</body>
</html>
"""
