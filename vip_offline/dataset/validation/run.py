"""Checks the data set or store at a path."""

from pathlib import Path

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.store import is_store, open_store
from vip_offline.dataset.validation.check_source import check_source
from vip_offline.dataset.validation.check_store import check_store
from vip_offline.dataset.validation.report import DataReport, OnStart, ReportBuilder
from vip_offline.utils.console import OnFrames


def check(
    path: Path,
    kind: str = "",
    on_start: OnStart = lambda total: None,
    on_frames: OnFrames = lambda count: None,
) -> DataReport:
    """Go through all episodes of a source or a store.

    Args:
        path: of either.
        kind: of a source, if it is not to be recognised.
        on_start: called with the number of frames there are to be read.
        on_frames: called with how many more were.

    Raises:
        VipOfflineError: if it cannot be opened at all; what is wrong inside is a finding.
    """
    report = ReportBuilder(on_frames)
    if not kind and is_store(path):
        return check_store(open_store(path), report, on_start)
    source = open_source(path, kind)
    try:
        return check_source(source, report, on_start)
    finally:
        source.close()
