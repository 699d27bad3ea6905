"""Recording runs in MLflow. Only modules in here import it."""

from pipeline.tracking.tracker import Tracker

__all__ = ["Tracker"]
