"""`latency`: small objects when every request takes 20 ms longer, as S3's do at the least."""

from bench.contenders.choice import contenders
from bench.datasets import small, warm
from bench.delayline import delay_line
from bench.grid import Grid, run_grid
from bench.session import Session

DELAY_MILLISECONDS = 20


def run(session: Session) -> None:
    """One table, from the first origin chosen. Warmed up with few objects: a round of a serial peer takes 45 s."""
    dataset, warm_up = small(quick=session.options.quick), warm()
    with (
        session.origin(session.options.origins[0], (dataset, warm_up)) as origin,
        delay_line(origin.address[1], DELAY_MILLISECONDS, session.run) as port,
    ):
        title = f"latency: {dataset.title} from {origin.title}, {DELAY_MILLISECONDS} ms added to each request"
        chosen = contenders(session.options.peers, archives_only=True)
        run_grid(session, Grid("latency", title, origin.behind(port), chosen, dataset, warm_up))
