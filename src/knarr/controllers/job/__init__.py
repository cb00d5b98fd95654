"""Job: run pods until enough of them have succeeded, or too many failed.

Every pod carries a finalizer until the job's status has counted it, so that none is lost or counted twice, however
and whenever pods or the controller go away.
"""

from __future__ import annotations

from knarr.controllers.job.controller import JobController

__all__ = ["JobController"]
