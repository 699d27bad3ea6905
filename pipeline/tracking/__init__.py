"""Recording runs in MLflow. Only modules in here import it, and only those that a child process runs."""

from pipeline.tracking.process import MirrorProcess

__all__ = ["MirrorProcess"]
