"""What a run on a card has found, line by line, so that it goes on where it was killed."""

import json
import time
from pathlib import Path
from typing import Any

from simam_edu.training import append_record, read_records
from simam_edu.training.record import cut_torn_line, lock_of


class Log:
    """A file of JSON lines, each the answer of one case of one part, and the time that is left.

    Args:
        file: Made when missing. A last line that was torn when a process was killed is cut off.
        minutes: From now on.
    """

    def __init__(self, file: Path, minutes: float) -> None:
        self.file, self._end = file, time.monotonic() + 60 * minutes
        with lock_of(file):  # which makes the folder
            file.touch()
            cut_torn_line(file)
        self._known = {(line["part"], line["case"]) for line in read_records(file)}

    @property
    def seconds_left(self) -> float:
        """How much time is left, less than zero when it is over."""
        return self._end - time.monotonic()

    def wants(self, part: str, case: str, *, seconds: float = 0.0) -> bool:
        """Return whether a case has no answer yet and so many seconds are left to find one."""
        return (part, case) not in self._known and self.seconds_left > seconds

    def add(self, part: str, case: str, **found: Any) -> None:
        """Write the answer of a case."""
        line = {"part": part, "case": case, **found}
        append_record(self.file, line)
        self._known.add((part, case))
        print(json.dumps(line), flush=True)

    def lines(self, part: str) -> list[dict[str, Any]]:
        """Return the answers of a part."""
        return [line for line in read_records(self.file) if line["part"] == part]
