"""Proves afterwards what linear bounds can of the networks of a campaign, where its `--work` still has them.

    python scripts/prove.py DIR VARIANT [VARIANT ...] --work .work [--images PATH] [--again]

For networks whose campaign was without `bounds`: nothing is trained or attacked again. In DIR, which `scripts/campaign.py` left,
the records of a variant get `radius_lower` above epsilon where an image is proven robust, all at once, and provenance.json a note
with its problems. What a note of before names stays as it is, so that a folder is proven as it grows; with `--again`, for bounds
that prove more, that is proven too. Refused: networks that are not those of history.csv, other images than those of the campaign,
an image that is proven and yet fell.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import pandas as pd

from nnrobust.bounds.records import Proofs, with_proofs
from nnrobust.data.read import Request
from nnrobust.errors import RecordError
from nnrobust.experiments.kept import kept
from nnrobust.experiments.run_folder import calls_of, code_hash, data_hash, proofs_of, proven_problems, write_proofs
from nnrobust.records import read_records, write_records
from nnrobust.runtime.memory import keep_freed_memory
from nnrobust.runtime.process import one_sentence
from nnrobust.runtime.progress import shown
from nnrobust.runtime.provenance import commit
from nnrobust.runtime.store import WorkStore


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that a campaign left (its --out)")
    parser.add_argument("variants", nargs="+", help="those to prove, one after the other")
    parser.add_argument("--work", type=Path, default=ROOT / ".work", help="where the campaign keeps its networks")
    parser.add_argument(
        "--images", help="folder or tar of {train,test}/<class>/ images, instead of the campaign's data"
    )
    parser.add_argument("--again", action="store_true", help="also what an earlier note names")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    keep_freed_memory()
    calls = calls_of(options.folder)
    if not calls:
        raise RecordError(
            f"{options.folder}: expected the folder of a campaign, got no provenance.json; name its --out"
        )
    data = calls[-1]["profile"]["data"]
    if options.images:
        data = data | {"source": "image_folder", "path": options.images, "sha256": None}
    dataset = Request.of(data).read()
    digest, expected = data_hash(dataset), calls[-1]["data_sha256"]
    if digest != expected:
        raise RecordError(
            f"{data['path']}: expected the images of the campaign, of sha256 {expected}, got {digest}; name them with --images"
        )
    history, store = pd.read_csv(options.folder / "history.csv"), WorkStore(options.work.resolve(), "")
    code = {"commit": commit(ROOT), "code": code_hash()}  # that was loaded, whatever is there in an hour
    for name in options.variants:
        start, path = time.monotonic(), options.folder / f"{name}.parquet"
        records = read_records(path)
        done = set() if options.again else proven_problems(proofs_of(options.folder), name)
        is_new = ~records["pair"].astype(str).isin(done)
        problems = [str(problem) for problem in records.loc[is_new, "pair"].unique()]
        if not problems:
            print(f"{name}: all {len(done)} problems have their proofs", flush=True)
            continue
        found = with_proofs(
            Proofs(kept(name, problems, history, store, dataset), dataset), records[is_new], progress=shown
        )
        records.loc[is_new, "radius_lower"] = found["radius_lower"].to_numpy()
        write_records([records], path)
        seconds = round(time.monotonic() - start, 1)
        write_proofs(options.folder, {"variant": name, "problems": problems, **code, "seconds": seconds})
        n_proven = int((found["radius_lower"] > found["epsilon"]).sum())
        print(f"{name}: {n_proven} of {len(found)} records are proven robust", flush=True)


if __name__ == "__main__":
    with one_sentence():
        main()
