"""Trains small networks on a problem in the plane, and measures them and 1NN there (figure 2)."""

from pathlib import Path

from nnrobust.config.params import read_params
from nnrobust.experiments.plane import PlaneProblem, Schedule, made_points, measure, nearest_panel, network_panel
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import run_stage
from nnrobust.runtime.seals import save_arrays

TABLE = Path("metrics/plane.csv")
GRIDS = Path("data/plane.npz")


def main() -> None:
    one = read_params("params.yaml").plane
    points, labels = made_points(one.n_points, one.center, one.variance, one.flipped, one.seed)
    schedule = Schedule(one.hidden, one.epochs, one.learning_rate, one.steps, one.step_size, one.seed)
    problem = PlaneProblem(points, labels, one.epsilon)
    trades = [network_panel(problem, schedule, beta, one.square_size) for beta in one.betas]
    panels = [*trades, nearest_panel(problem), network_panel(problem, schedule, None, one.square_size)]
    table, regions = measure(panels, problem, one.grid_size)
    write_csv(TABLE, table.round(6))
    save_arrays(GRIDS, {"axis": problem.axis(one.grid_size), "regions": regions})


if __name__ == "__main__":
    run_stage(main)
