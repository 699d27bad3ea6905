"""Recording runs in MLflow. Only modules in here import it."""

from pipeline.tracking.tracker import Job, Tracker

__all__ = ["Job", "Tracker"]
