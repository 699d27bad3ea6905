"""What is drawn at random has the bits written down here, on every machine and with every kernel."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from tests.commands import ROOT

PROGRAM = """
import hashlib, json
import numpy as np
from pipeline.data.augmentation import Affine, AffineElastic, Distortion, Elastic
from pipeline.data.strokes import choose_digits, draw

def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()

AFFINE = {"rotation": 0.2, "scale": 0.15, "shear": 0.15, "shift": 1.0}
ELASTIC = {"amplitude": 34.0, "sigma": 4.0}
SETTINGS = {
    "affine": Affine(**AFFINE),
    "affine, far": Affine(rotation=3.1, scale=0.9, shear=10.0, shift=20.0),
    "elastic": Elastic(**ELASTIC),
    "elastic, sharp": Elastic(amplitude=3.0, sigma=0.6),
    "elastic, smooth": Elastic(amplitude=1000.0, sigma=300.0),
    "affine and elastic": AffineElastic(**AFFINE, **ELASTIC),
}
digits = choose_digits(100, "train")
[strokes] = draw(digits, "train")
images = (strokes / 255).astype(np.float32).reshape(100, -1)
rng = np.random.default_rng(0)
hashes = {"strokes": sha256(strokes)}
for name, settings in SETTINGS.items():
    hashes[name] = sha256(Distortion(settings, (28, 28))(images, rng))
wide = rng.random((3, 40 * 130), np.float32)
hashes["wide images"] = sha256(Distortion(SETTINGS["affine and elastic"], (40, 130))(wide, rng))
print(json.dumps(hashes))
"""

HASHES = {
    "strokes": "66000f3d1d65ae4cc3a054a961534d0ea16cc1e1292ad53b8322916bd690e42f",
    "affine": "4808a54f1fc3f0a5fb24b5c78bc7734ee7d1db245fe50acd20b64fed183f03a8",
    "affine, far": "f662363296a0fcb60fc3223d845990bb05256a1f0691b8255b6f85217cc513f8",
    "elastic": "b2f356db6e90c65a95abc12379ac2764043b7749672c14019245cba10892df62",
    "elastic, sharp": "a8f4edb462b7bb540ced875ad7cf15b66805fbefa7a19632233cb87bf200b9d2",
    "elastic, smooth": "31faed56a7b686355252ab84593d8525df937e217b3d8b52ff98029f7f3d8127",
    "affine and elastic": "2a8d049a80d8ce7196e504a91f78bdccc5063944e14cdb0ac8870853e26bf3ec",
    "wide images": "c423f1d71bc9ca7e502bda5eff0e164053eedf35cbaf145ba3318bf78ca3cc78",
}

SIMD = np.show_config(mode="dicts")["SIMD Extensions"]
KERNELS = {
    "x86_64": ["Prescott", "Sandybridge", "Haswell"],
    "AMD64": ["Prescott", "Sandybridge", "Haswell"],
    "aarch64": ["ARMV8"],
}
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"NPY_DISABLE_CPU_FEATURES": " ".join(SIMD.get("found", []) + SIMD.get("not found", []))},
    {"OPENBLAS_NUM_THREADS": "2"},
    *({"OPENBLAS_CORETYPE": kernel} for kernel in KERNELS.get(platform.machine(), [])),
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_drawn_images_and_distortions_are_the_same_everywhere(environment: dict[str, str]) -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "NPY_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == HASHES
