"""`bucketzip zip ... s3://bucket/key`: a job of its own, run in the foreground."""

import asyncio
import json
import logging
import time
from functools import partial

from bucketzip.commands import CommandError
from bucketzip.commands.signals import Interrupted, interruptible
from bucketzip.commands.zip_outcome import FAILED, GO_ON, zipping
from bucketzip.commands.zip_saved import shrunk
from bucketzip.errors import BucketzipError
from bucketzip.foreground import End, end_of, watched
from bucketzip.jobs import patience, skipped
from bucketzip.jobs.model import Job, State, as_json, error_detail, progress
from bucketzip.machine import Machine, open_machine
from bucketzip.metrics import Metrics
from bucketzip.plan.remedies import as_options
from bucketzip.plan.request import ArchiveRequest
from bucketzip.settings import Settings
from bucketzip.state import workspaces
from bucketzip.terminal import MIB, StatusLine, amount, pace, printable
from bucketzip.wording import entries

OWNER = "zip"
DISCARDED = "discarded"


def zip_to_bucket(
    request: ArchiveRequest, settings: Settings, line: StatusLine, *, for_programs: bool, discard: bool
) -> int:
    """Make the archive, or throw away what an earlier run has done of it; returns the exit status."""
    digest = request.digest
    if settings.log_level != "error":
        # It goes on trying for an hour, and somebody sits here and waits: they have to know for what.
        logging.getLogger(patience.__name__).setLevel(logging.INFO)
    with (
        zipping(request.destination, settings, as_json=for_programs),
        workspaces.kept(settings.state_dir, digest) as workspace,
    ):
        ours = settings.model_copy(update={"state_dir": workspace.path})
        try:
            end = asyncio.run(interruptible(_discard(ours, line) if discard else _make(request, ours, line)))
        except Interrupted as stopped:
            line.write(f"stopped: {GO_ON}\n")
            return stopped.status
        except BucketzipError:
            workspace.over = workspace.new  # there is no job in it
            raise
        workspace.over = end.is_clean
    if end.left_behind:
        line.write("its upload could not be aborted: it is still in S3, until this command with --discard succeeds\n")
    if discard:
        print("discarded" if end.job else "there is nothing to discard")
        return FAILED if end.left_behind else 0
    assert end.job is not None
    return _told(end.job, for_programs=for_programs)


async def _make(request: ArchiveRequest, settings: Settings, line: StatusLine) -> End:
    async with open_machine(settings, Metrics()) as machine:
        machine.check_credentials()
        # Jobs that ended stay where their uploads could not be aborted. This is the one after them.
        ended = sum(jobs for state, jobs in (await machine.jobs.counts()).items() if state.is_final)
        job, new = await machine.jobs.create(request, OWNER, f"{request.digest}-{ended}")
        if not new:
            line.write("going on where an earlier run has stopped\n")
        async with machine.runner.running(settings.state_dir):
            job = await _watched(machine, job, line)
        return await end_of(machine, job)


async def _discard(settings: Settings, line: StatusLine) -> End:
    async with open_machine(settings, Metrics()) as machine:
        job = next(iter((await machine.jobs.page(limit=1)).items), None)
        if job is not None and not job.state.is_final:
            job = await machine.jobs.cancel(job.id, DISCARDED)
            async with machine.runner.running(settings.state_dir):
                job = await _watched(machine, job, line)
        return await end_of(machine, job)


async def _watched(machine: Machine, job: Job, line: StatusLine) -> Job:
    """The job at its end; meanwhile it is told about."""
    said: list[str] = []

    def tell(job: Job) -> None:
        notes = json.loads(job.notes)
        for note in notes[len(said) :]:
            line.write(f"{printable(note)}\n")
        said[:] = notes
        line.show(partial(_status, job), _part(job))

    try:
        return await watched(machine, job, tell)
    finally:
        line.clear()


def _part(job: Job) -> float | None:
    """How much of it is done, once that can be told."""
    done = progress(job, time.time())
    return done.bytes / done.of_bytes if done.of_bytes else None


def _status(job: Job) -> str:
    done = progress(job, time.time())
    if done.of_bytes is None:
        return str(job.state)
    said = [amount(done.bytes, done.of_bytes), f"{done.entries:,} of {entries(done.of_entries or 0)}"]
    said.append(f"{done.copied_bytes / MIB:,.0f} MiB copied, {done.built_bytes / MIB:,.0f} built")
    if done.bytes_per_second:
        said.append(pace(done.bytes_per_second, done.of_bytes - done.bytes))
    return "  ".join(said)


def _told(job: Job, *, for_programs: bool) -> int:
    """Say what came of it; returns the exit status, or raises CommandError."""
    if for_programs:
        print(json.dumps(as_json(job, time.time(), spell=as_options)))
    if job.state is not State.SUCCEEDED or job.result is None:
        why = error_detail(job, as_options) if job.error_code else f"it was {job.state}"
        raise CommandError(printable(why), FAILED)
    if not for_programs:
        result, left_out = json.loads(job.result), skipped.told(job.skipped, 0)["count"]
        print(
            f"{printable(f's3://{job.bucket}/{job.key}')}: {entries(result['entries'])}, {result['bytes']:,} bytes"
            + (f", {shrunk(result['ratio'])}," if result["level"] else "")
            + f" in {result['seconds']:.1f} s, of them {result['copied_bytes']:,} copied by S3 and "
            f"{result['built_bytes']:,} through this host; {sum(result['requests'].values()):,} requests, "
            f"${result['list_price_usd']:.6f} at AWS's list price"
            + (f"; {left_out:,} missing, left out" if left_out else "")
        )
    return 0
