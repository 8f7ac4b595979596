#!/bin/sh
# safetensors.numpy 0.8.0 changes the values of an array in Fortran order, such as the transpose of a table, and
# says nothing: save and save_file write its memory as it lies, and load gives it back with the same shape read
# row by row. Its documentation asks for "contiguous and dense" arrays, which these are. 0.7.0 keeps the values.
# Expected before it was run: each array comes back equal, with either version.
# Seen with numpy 2.4.6: equal with 0.7.0; with 0.8.0 the rows (0, 3), (1, 4), (2, 5) come back as (0, 1), (2, 3),
# (4, 5). It matters for attention weights or per-channel statistics that are turned round before they are kept:
# every file opens, and every weight stands at another channel. np.ascontiguousarray before saving avoids it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/round_trip.py" <<'PY'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

per_image = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {
    "C order": per_image,
    "transposed": per_image.T,
    "asfortranarray": np.asfortranarray(per_image),
    "transposed, made contiguous": np.ascontiguousarray(per_image.T),
}
found = {}
for name, array in arrays.items():
    save_file({"weights": array}, sys.argv[2])
    copies = load(save({"weights": array}))["weights"], load_file(sys.argv[2])["weights"]
    found[name] = [np.array_equal(copy, array) for copy in copies]
    print(f"safetensors {safetensors.__version__}, {name}: {array.tolist()} -> {copies[1].tolist()}")
print("equal after (load of save, load_file of save_file):", found)
wrong = {"transposed", "asfortranarray"} if sys.argv[1] == "0.8.0" else set()
seen = {name: [name not in wrong] * 2 for name in arrays}
sys.exit(0 if found == seen else "the behaviour has changed")
PY
python3 -m venv "$folder/env"
for version in 0.7.0 0.8.0; do
    "$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 "safetensors==$version"
    "$folder/env/bin/python" "$folder/round_trip.py" "$version" "$folder/weights.safetensors"
done
