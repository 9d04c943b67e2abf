"""`streaming` and `tls`: large and small objects from both origins, to one client."""

from bench.contenders.choice import contenders
from bench.datasets import large, small
from bench.grid import Grid, run_grid
from bench.processes import UnavailableError
from bench.session import Session


def run(session: Session, *, tls: bool = False) -> None:
    """A table for each origin and dataset."""
    benchmark = "tls" if tls else "streaming"
    datasets = (large(quick=session.options.quick), small(quick=session.options.quick))
    for name in session.options.origins:
        try:
            with session.origin(name, datasets, tls=tls) as origin:
                for dataset in datasets:
                    title = f"{benchmark}: {dataset.title} from {origin.title}"
                    chosen = contenders(session.options.peers)
                    run_grid(session, Grid(benchmark, title, origin, chosen, dataset, warm_up=dataset))
        except UnavailableError as error:
            print(f"\n{benchmark} from {name}: {error}")
