"""Recording runs in MLflow. Only modules in here import it."""

from pipeline.tracking.tracker import Job, Tracker, start_ahead

__all__ = ["Job", "Tracker", "start_ahead"]
