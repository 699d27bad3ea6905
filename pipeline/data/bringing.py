"""Data of your own, brought to `data/raw`: copied, fetched from a web server, or taken from scikit-learn.

Nothing is written anywhere else. A file is copied only if its size or its time differs from the copy's.
"""

import os
import shutil
from pathlib import Path

from pipeline.data.mirrors import fetch, reason_of
from pipeline.data.own import FROM_SCIKIT_LEARN, AnyOwnDataset, is_url
from pipeline.data.toys import write_toy
from pipeline.support.errors import UserError, public
from pipeline.support.files import find_root, replacing, sha256

LEFT_BY_SYSTEMS = {"Thumbs.db", "desktop.ini", "__MACOSX"}
EXAMPLES = {"table": "houses.csv", "images": "photos", "arrays": "measured.npz"}
ARRAYS = ("x.npy", "y.npy")


def bring(dataset: AnyOwnDataset, raw: Path, known: dict[str, str]) -> dict[str, str]:
    """Bring the data of a `dataset` to the folder `raw`.

    Args:
        dataset: what to bring.
        raw: the folder.
        known: SHA-256 of the files that an earlier run left there, by name.

    Returns:
        The SHA-256 of each file, by its name in `raw`.

    Raises:
        UserError: if the data are not there, or not as the kind has them.
    """
    path, kind = dataset.path, dataset.kind
    if not path:
        raise UserError(
            f"dataset.path = null: should say where the data are, as in -S dataset.path={EXAMPLES[kind]}"
        )
    if path.startswith(FROM_SCIKIT_LEARN):
        hashes = write_toy(path.removeprefix(FROM_SCIKIT_LEARN), kind, raw)
    elif is_url(path):
        hashes = _fetch(dataset, path, raw, known)
    else:
        files = _local_files(kind, path, raw)
        hashes = {name: _copy(source, raw / name, known.get(name)) for name, source in files.items()}
    if dataset.hash and len(hashes) > 1:
        raise UserError(f"dataset.hash = {dataset.hash}: should be null for data in several files")
    if dataset.hash and (wrong := set(hashes.values()) - {dataset.hash.removeprefix("sha256:")}):
        raise UserError(
            f"{public(path)}: its hash is sha256:{wrong.pop()}, not dataset.hash = {dataset.hash}"
        )
    return hashes


def _local_files(kind: str, text: str, raw: Path) -> dict[str, Path]:
    """Return the files at the local path `text`, by the names that they will have in `raw`."""
    given = Path(text).expanduser()
    path = given if given.exists() else find_root(Path.cwd()) / given  # the queue works in a copy of the tree
    if not path.exists():
        raise UserError(f"dataset.path = {text}: there is nothing at {path.absolute()}")
    if path.resolve().is_relative_to(raw.parent.resolve()):
        raise UserError(
            f"dataset.path = {text}: is in {raw.parent}, which the stages write: keep your data elsewhere"
        )
    if kind == "images":
        if not path.is_dir():
            raise UserError(f"dataset.path = {text}: should be a folder with a subfolder for each class")
        return {f"images/{name.as_posix()}": path / name for name in images_in(path)}
    if kind == "arrays" and path.is_dir():
        if lacking := [name for name in ARRAYS if not (path / name).is_file()]:
            raise UserError(f"dataset.path = {text}: there is no {lacking[0]} in that folder")
        return {name: path / name for name in ARRAYS}
    if not path.is_file():
        what = "folder" if path.is_dir() else "device"
        raise UserError(f"dataset.path = {text}: is a {what}, and should be a file")
    if kind == "arrays" and path.suffix != ".npz":
        raise UserError(
            f"dataset.path = {text}: should be an .npz file, or a folder with {' and '.join(ARRAYS)}"
        )
    return {path.name: path}


def images_in(folder: Path) -> list[Path]:
    """Return the images in `folder`, by name, each as `CLASS/FILE`; hidden files are left out.

    Raises:
        UserError: unless there is a subfolder for each class, with nothing but images in it.
    """
    found: list[Path] = []
    for entry in _entries(folder):
        if not entry.is_dir():
            raise UserError(f"{entry}: an image should be in the subfolder of its class")
        images = _entries(entry)
        if not images:
            raise UserError(f"{entry}: there is no image of this class: remove the folder, or add some")
        for image in images:
            if image.is_dir():
                raise UserError(
                    f"{image}: a folder in the folder of a class: dataset.path should be the folder whose"
                    " subfolders are the classes, with nothing but images in them"
                )
            if not image.is_file():
                raise UserError(f"{image}: a link that leads nowhere: remove it")
            if not _is_text(image.name) or not _is_text(entry.name):
                raise UserError(f"{str(image)!a}: its name is not UTF-8: give it another one")
            found.append(Path(entry.name, image.name))
    if not found:
        raise UserError(f"{folder}: there is no image in it: it should have a subfolder for each class")
    return found


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # of bytes that are none
        return False
    return True


def _entries(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.name[0] != "." and path.name not in LEFT_BY_SYSTEMS
    )


def _copy(source: Path, target: Path, known_sha256: str | None) -> str:
    """Copy `source` to `target` unless they are the same already, and return the SHA-256 of the copy."""
    stat = source.stat()
    if known_sha256 and target.is_file():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            return known_sha256
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
        os.utime(temporary, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return sha256(target)


def _fetch(dataset: AnyOwnDataset, url: str, raw: Path, known: dict[str, str]) -> dict[str, str]:
    """Fetch the file at `url`."""
    if dataset.kind == "images":
        raise UserError(f"dataset.path = {public(url)}: should be a folder on this machine")
    name = Path(url.split("?")[0].split("#")[0]).name
    if dataset.kind == "arrays" and not name.endswith(".npz"):
        raise UserError(f"dataset.path = {public(url)}: should be an .npz file")
    pinned = (dataset.hash or "").removeprefix("sha256:")
    if not name or name.startswith("."):
        raise UserError(f"dataset.path = {public(url)}: should end in the name of a file, such as houses.csv")
    if pinned and known.get(name) == pinned and (raw / name).is_file() and sha256(raw / name) == pinned:
        return {name: pinned}
    print(f"{name} from {public(url)}", flush=True)
    with replacing(raw / name) as temporary:
        try:
            fetch(url, temporary)
        except (OSError, ValueError) as error:
            raise UserError(f"{public(url)} cannot be fetched: {reason_of(error)}") from None
        digest = sha256(temporary)
        if pinned and digest != pinned:
            raise UserError(f"{public(url)}: its hash is sha256:{digest}, not dataset.hash = {dataset.hash}")
    return {name: digest}
