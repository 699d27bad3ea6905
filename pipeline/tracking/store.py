"""Where runs are kept: the tracking store, its address, and what can be wrong with it."""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock

from pipeline.support.errors import UserError, public

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from sqlalchemy import Engine

DATABASE = "sqlite:///"
DEFAULT = f"{DATABASE}mlflow.db"
ARTIFACTS = "mlruns"
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
"""The tables and columns in which MLflow's database keeps where files are, as absolute URIs."""

ANSWER_S = 5.0  # that a tracking server has for its first answer


def address() -> str:
    """Return the tracking URI: `MLFLOW_TRACKING_URI`, or the database in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT


def database() -> Path | None:
    """Return the file of the SQLite database at the tracking URI, or None where it is something else."""
    from sqlalchemy import make_url

    if not address().startswith(DATABASE):
        return None
    return Path(make_url(address()).database or "")  # without options: sqlite:///mlflow.db?timeout=60


def failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises if a store does not answer, or not as it should."""
    import requests
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, ParseError, requests.RequestException, SQLAlchemyError


def cause(error: BaseException) -> str:
    """Return in one line which store failed and the first cause of `error`, without a password."""
    while (bottom := error.__cause__ or error.__context__) and not isinstance(bottom, KeyError):
        error = bottom
    message, *_ = public(str(error)).split(" Response body:")  # any web page, where it is no MLflow server
    if isinstance(error, ImportError):
        message = f"install the driver of such a database into this environment ({message})"
    return textwrap.shorten(f"{public(address())}: {message.rstrip('.') or type(error).__name__}", 300)


@contextmanager
def one_line_on_failures() -> Iterator[None]:
    """Raise `UserError` if the store does not answer, or fails in the block.

    MLflow's own errors show passwords.
    """
    check_server()
    try:
        yield
    except UserError:
        raise  # and spare the import of MLflow below
    except Exception as error:
        of_address = (ValueError, ImportError)  # it is not an address, or its driver is not installed
        if not isinstance(error, (*of_address, *failures())):
            raise
        raise UserError(f"the tracking store {cause(error)}") from None


def check_server(advice: str = "start the server") -> None:
    """Raise `UserError`, with `advice`, if the tracking URI is a server's and nothing answers there."""
    import requests

    try:
        if urlsplit(address()).scheme in {"http", "https"}:
            requests.get(f"{address().rstrip('/')}/health", timeout=ANSWER_S)
    except (requests.RequestException, ValueError):  # the latter: it is no address
        raise UserError(f"MLFLOW_TRACKING_URI: nothing answers at {public(address())}: {advice}") from None


def open_store() -> "MlflowClient":
    """Connect to the tracking store; a database that is not there yet is created by one process alone.

    The other processes wait for it, since the migrations that create it cannot run side by side
    (https://github.com/daizutabi/hydraflow/issues/245). The database gets its name once it is complete: one
    that a kill left half-migrated could never be opened again.

    Raises:
        ValueError: if the address is none, or no database can be there.
    """
    import mlflow
    from sqlalchemy import create_engine, make_url

    mlflow.set_tracking_uri(address())
    path = database()
    if path and (path.is_dir() or not path.parent.is_dir()):  # which MLflow would try for minutes
        raise ValueError("a database is a file in a folder that is there")
    if path and not path.exists():
        with FileLock(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                new = path.with_name(f"{path.name}.new")
                for remains in new.parent.glob(f"{new.name}*"):  # a journal with them
                    remains.unlink()
                maker = mlflow.MlflowClient(str(make_url(address()).set(database=str(new))))
                maker._tracking_client.store.engine.dispose()  # Windows renames no file that is open
                new.replace(path)
    client = mlflow.MlflowClient()
    if path:
        correct_locations(create_engine(address()), artifact_root(path))
    return client


def artifact_root(database: Path) -> Path:
    """Return the folder of the artifacts of the runs in the SQLite `database`: beside it."""
    return database.resolve().parent / ARTIFACTS


def correct_locations(engine: "Engine", root: Path) -> None:
    """Have all artifacts looked for below `root`, also if the database's folder was moved or copied.

    MLflow keeps absolute locations. After `mv` they name a folder that is gone. After `cp -r` they name the
    original's, and MLflow would write there.
    """
    from sqlalchemy import text

    with engine.begin() as connection:
        for table, column in LOCATIONS:
            local = f"SELECT rowid, {column} FROM {table} WHERE {column} || '/' LIKE 'file:%/{ARTIFACTS}/%'"
            for row, location in connection.execute(text(local)).all():
                _, _, below = f"{location}/".rpartition(f"/{ARTIFACTS}/")
                new = f"{root.as_uri()}/{below}".rstrip("/")
                if new != location:
                    connection.execute(
                        text(f"UPDATE {table} SET {column} = :new WHERE rowid = :row"),
                        {"new": new, "row": row},
                    )


def find_experiment(client: "MlflowClient", name: str) -> "Experiment | None":
    """Return the experiment `name`, or None where there is none.

    Raises:
        UserError: if it was deleted: MLflow keeps it, and its name, until `mlflow gc`.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment and experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"the experiment {name} was deleted: `mlflow experiments restore --experiment-id"
            f" {experiment.experiment_id}` brings it back with its runs,"
            f" `MLFLOW_TRACKING_URI={public(address())} mlflow gc` removes it for good"
        )
    return experiment
