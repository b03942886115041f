"""Mends what a kill or a failing disk left, and says so: `make repro` runs `python scripts/mend.py`, `make verify` adds `--all`.

A dvc.lock that a kill cut off is restored from git. Outputs that are other than dvc.lock says, though written before it, are
named, and DVC looks at them again: it restores them from its cache or makes them anew. With `--all` also those that stages
themselves compare with their sha256, and DVC's cache, of which what is damaged is deleted.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

LOCK, RWLOCK, CACHE = Path("dvc.lock"), Path(".dvc/tmp/rwlock"), Path(".dvc/cache/files/md5")
SEALED = (".npz", ".parquet", ".safetensors")
"""The files that have their sha256 inside; folders have it in `sha256.json`."""
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
PAUSE = 1.0
"""Seconds after which a file that DVC is writing is another."""
PARTS = {"cmd", "deps", "params", "outs"}


def whole_stages(text: str) -> dict[str, Any] | None:
    """The stages of a dvc.lock; None for one that was cut off: every other is as DVC's schema wants it."""
    try:
        lock = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if text.endswith("\n") else None
    except yaml.YAMLError:
        return None
    if not isinstance(lock, dict) or lock.get("schema") != "2.0" or not isinstance(lock.get("stages"), dict):
        return None
    return lock["stages"] if all(map(_is_whole, lock["stages"].values())) else None


def _is_whole(stage: Any) -> bool:
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str) or set(stage) - PARTS:
        return False
    files = [stage.get("deps", []), stage.get("outs", [])]
    params = stage.get("params", {})
    if not all(isinstance(some, list) for some in files) or not isinstance(params, dict):
        return False
    known = all(
        isinstance(one, dict) and MD5.fullmatch(str(one.get("md5"))) and "path" in one for some in files for one in some
    )
    return known and all(isinstance(values, dict) for values in params.values())


def mend_lock() -> dict[str, Any] | None:
    """The stages of dvc.lock; None where it had to be restored, as the outputs are then newer than it."""
    if not LOCK.exists():
        return None
    text = LOCK.read_text(encoding="utf-8", errors="replace")
    if (stages := whole_stages(text)) is not None:
        return stages
    time.sleep(PAUSE)
    if LOCK.read_text(encoding="utf-8", errors="replace") != text:
        raise SystemExit(f"{LOCK}: expected nobody to write it, got a `dvc repro` at work; wait for it")
    if re.search("^<{7} ", text, re.MULTILINE):
        raise SystemExit(
            f"{LOCK}: expected the lock of a run, got a merge conflict; take one side by git, then `make repro`"
        )
    if (
        subprocess.run(["git", "checkout", "--quiet", "--", str(LOCK)], capture_output=True, check=False).returncode
        == 0
    ):
        print(f"{LOCK}: was cut off, as by a kill, and is restored from git; what ran since comes from DVC's cache")
    else:
        LOCK.unlink()
        print(f"{LOCK}: was cut off, as by a kill, and git has none, so it is deleted; what ran comes from DVC's cache")
    return None


def mend_rwlock() -> None:
    """Deletes DVC's note of who reads and writes, where a kill cut it off: DVC would refuse it."""
    try:
        json.loads(RWLOCK.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        RWLOCK.unlink()
        print(f"{RWLOCK}: was cut off, as by a kill, and is deleted")


def md5_of(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files of an output, in DVC's order; empty where it is missing."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    return sorted(files, key=lambda file: file.relative_to(path).parts)


def hash_of(path: Path) -> str:
    """The md5 that DVC gives an output: of a file, or of the list of a folder's files."""
    if not path.is_dir():
        return md5_of(path)
    parts = [{"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in files_of(path)]
    return hashlib.md5(json.dumps(parts, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def damaged_outputs(stages: dict[str, Any], is_all: bool) -> Iterator[Path]:
    """Outputs that are other than dvc.lock says."""
    for path, expected in sorted(
        {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}.items()
    ):
        out = Path(path)
        is_sealed = out.suffix in SEALED or (out / "sha256.json").exists()
        if files_of(out) and (is_all or not is_sealed) and hash_of(out) != expected:
            yield out


def mend_outputs(stages: dict[str, Any], is_all: bool) -> None:
    """Lets DVC look again at outputs that it would take for unchanged, by their times."""
    written = LOCK.stat().st_mtime
    for out in damaged_outputs(stages, is_all):
        if all(file.stat().st_mtime <= written for file in files_of(out)):
            print(f"{out}: is other than {LOCK} says, though older; damaged, so that DVC makes it again")
        for file in files_of(out):
            file.touch()


def mend_cache() -> None:
    """Deletes the files of DVC's cache whose content is other than their name, which is its md5."""
    for file in sorted(CACHE.glob("??/*")):
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", file.name) and md5_of(file) != file.parent.name + file.name[:30]:
            file.unlink()
            print(f"{file}: was damaged, and is deleted from DVC's cache")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="reads every output and the whole cache")
    options = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    mend_rwlock()
    stages = mend_lock()
    if options.all:
        mend_cache()
    if stages is not None:
        mend_outputs(stages, options.all)


if __name__ == "__main__":
    main()
