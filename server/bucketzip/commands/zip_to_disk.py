"""`bucketzip zip ... a.zip` and `bucketzip zip ... -`: into a file, which can go on after anything, and into a pipe."""

import asyncio
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bucketzip.commands import CommandError
from bucketzip.commands.signals import Interrupted, interruptible
from bucketzip.commands.zip_compressed import LEAST_PACE_SECONDS, compress_to_file, compress_to_pipe
from bucketzip.commands.zip_outcome import FAILED, GO_ON, zipping
from bucketzip.commands.zip_part import becoming
from bucketzip.commands.zip_saved import Saved, ratio
from bucketzip.errors import BucketzipError, recorded
from bucketzip.local import CannotSave, part_file
from bucketzip.local.saving import pipe, save
from bucketzip.machine import Machine, open_machine
from bucketzip.metrics import Metrics
from bucketzip.plan.planner import Planner, builder_for
from bucketzip.plan.remedies import as_options, remedied
from bucketzip.plan.request import ZipRequest
from bucketzip.settings import Settings
from bucketzip.state import workspaces
from bucketzip.state.workspaces import Workspace, WorkspaceTaken
from bucketzip.terminal import StatusLine, amount, pace
from bucketzip.transfer.opened import Opened
from bucketzip.wording import entries


def zip_to_file(
    request: ZipRequest,
    path: Path,
    settings: Settings,
    line: StatusLine,
    *,
    replace: bool,
    for_programs: bool,
    discard: bool,
) -> int:
    """Make the archive, or throw away what an earlier run has done of it; returns the exit status."""
    with zipping(str(path), settings, as_json=for_programs), _workspace_of(path, settings) as workspace:
        try:
            if discard:
                begun = part_file.is_begun(path)
                part_file.discard(path)
                print("discarded" if begun else "there is nothing to discard")
                return 0
            if path.exists() and not replace:
                raise CommandError(f"{path} is there already; name another, or --if-exists replace", FAILED)
            ours = settings.model_copy(update={"state_dir": workspace.path})
            saved = asyncio.run(interruptible(_to_file(request, path, ours, line, replace=replace)))
        except Interrupted as stopped:
            line.write(f"stopped: {GO_ON}\n")
            return stopped.status
        finally:
            workspace.over = not part_file.is_begun(path)
            if workspace.over:
                part_file.discard(path)  # a crash may have left its note, when it had its name
    print(json.dumps(saved._asdict()) if for_programs else saved)
    return 0


def zip_to_pipe(request: ZipRequest, descriptor: int, settings: Settings, line: StatusLine) -> int:
    """Write the archive to a descriptor; returns the exit status."""
    with (
        zipping("-", settings, as_json=False),
        workspaces.thrown_away(settings.state_dir) as workspace,
        _not_blocking(descriptor),
    ):
        ours = settings.model_copy(update={"state_dir": workspace.path})
        try:
            asyncio.run(interruptible(_to_pipe(request, descriptor, ours, line)))
        except Interrupted as stopped:
            return stopped.status
        except BrokenPipeError:
            return 128 + signal.SIGPIPE
    return 0


async def _to_file(request: ZipRequest, path: Path, settings: Settings, line: StatusLine, *, replace: bool) -> Saved:
    async with open_machine(settings, Metrics()) as machine:
        began = time.monotonic()
        opened = await _planned(request, machine, line)
        layout, source_bytes = opened.layout, sum(opened.layout.manifest.sizes)
        if compression := request.compressing:
            size, start = await compress_to_file(opened, compression, machine.compressor, path, line, replace=replace)
        else:
            size, start = layout.size, await _store(opened, machine, path, line, replace=replace)
        return Saved(
            destination=str(path),
            etag=None if compression else layout.etag,
            bytes=size,
            entries=len(layout.manifest),
            from_byte=start,
            compression=request.compression,
            level=request.level if compression else None,
            source_bytes=source_bytes,
            ratio=ratio(size, source_bytes),
            seconds=round(time.monotonic() - began, 3),
        )


async def _store(opened: Opened, machine: Machine, path: Path, line: StatusLine, *, replace: bool) -> int:
    """Make the file; returns from which byte on. Raises CannotSave."""
    size = opened.layout.size
    async with becoming(path, opened, "store", size, line, replace=replace) as part:
        start = part.length
        if start:
            line.write(f"going on after {start:,} of {size:,} bytes\n")
        await save(opened, machine.own.engine, part, _shown(opened, start, line))
    return start


async def _to_pipe(request: ZipRequest, descriptor: int, settings: Settings, line: StatusLine) -> None:
    async with open_machine(settings, Metrics()) as machine:
        opened = await _planned(request, machine, line)
        if request.compressing:
            await compress_to_pipe(opened, request.compressing, machine.compressor, descriptor, line)
            return
        try:
            await pipe(opened, machine.own.engine, descriptor, _shown(opened, 0, line))
        finally:
            line.clear()


async def _planned(request: ZipRequest, machine: Machine, line: StatusLine) -> Opened:
    """The archive to be made; says what is missing."""
    machine.check_credentials()
    line.show(lambda: "planning")
    planner = Planner(request, machine.own.catalog, machine.own.discovery(), builder_for(request))
    try:
        builder = await planner.plan()
    except BucketzipError as error:
        said = remedied(error.code, str(error), request.model_dump(mode="json"), as_options)
        raise recorded(error.code, said) from error
    if planner.missing:
        line.write(f"{len(planner.missing):,} missing, which MISSING.txt in the archive tells\n")
    return await machine.own.archives.get(await asyncio.to_thread(machine.manifests.write, builder))


def _shown(opened: Opened, start: int, line: StatusLine) -> Callable[[int], None]:
    """Shows how far it is, beginning now at byte `start`."""
    manifest, size = opened.layout.manifest, opened.layout.size
    began = time.monotonic()

    def written(length: int) -> None:
        def status() -> str:
            passed = (
                len(manifest) - len(manifest.entries_from(length)) if length < manifest.content_bytes else len(manifest)
            )
            said = f"{amount(length, size)}  {passed:,} of {entries(len(manifest))}"
            seconds = time.monotonic() - began
            if seconds < LEAST_PACE_SECONDS:
                return said
            return f"{said}  {pace((length - start) / seconds, size - length)}"

        line.show(status, length / size)

    return written


@contextmanager
def _workspace_of(path: Path, settings: Settings) -> Iterator[Workspace]:
    """That of the file, whatever is to be in it: of a file that is begun anew nothing else is left behind."""
    try:
        name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
        with workspaces.kept(settings.state_dir, name) as workspace:
            yield workspace
    except WorkspaceTaken as error:
        raise CannotSave(f"{path}: another process is making it") from error


@contextmanager
def _not_blocking(descriptor: int) -> Iterator[None]:
    """Meanwhile, for it is shared with the processes that have it too."""
    before = os.get_blocking(descriptor)
    os.set_blocking(descriptor, False)
    try:
        yield
    finally:
        os.set_blocking(descriptor, before)
