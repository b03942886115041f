"""Composes params.yaml from a profile: `python scripts/compose.py NAME [--force]`, which `make profile P=NAME [FORCE=1]` runs."""

import argparse
from pathlib import Path

from nnrobust.config.profiles import write_params
from nnrobust.runtime.process import one_sentence

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", help="a file of profiles/, without its ending")
    parser.add_argument("--force", action="store_true", help="over edits of params.yaml")
    options = parser.parse_args()
    with one_sentence():
        write_params(ROOT / "profiles" / f"{options.profile}.yaml", ROOT / "params.yaml", options.force)


if __name__ == "__main__":
    main()
