"""A stage of the workflow, tied to the dvc that runs it: `python -m nnrobust.runtime PARENT SCRIPT ...`."""

import sys
from pathlib import Path

from nnrobust.runtime.kernels import pin_kernels
from nnrobust.runtime.process import die_with_parent, one_sentence, run_script
from nnrobust.runtime.warm import exit_status, is_possible

if __name__ == "__main__":
    # Before the script's own imports, which take seconds in which dvc may be killed.
    die_with_parent(int(sys.argv[1]))
    pin_kernels(Path("params.yaml"))
    if is_possible():
        with one_sentence():
            sys.exit(exit_status(int(sys.argv[1]), sys.argv[2:]))
    run_script(sys.argv[2:])
