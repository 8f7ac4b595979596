#!/bin/sh
# MNN's command mnnconvert, asked for its help, calls "pip install -U aliyun-log-python-sdk" with whatever pip is
# first on the PATH, which need not be that of its own environment; with that package it would then report each
# conversion to a log. Here pip is a script that writes down its arguments and installs nothing.
# Expected before it was run: it prints its help and leaves the machine as it is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 MNN==3.6.1
mkdir "$folder/first"
cat > "$folder/first/pip" <<PIP
#!/bin/sh
echo "\$*" >> "$folder/asked"
exit 1
PIP
chmod +x "$folder/first/pip"
"$folder/env/bin/python" -c 'import importlib.metadata as m; print("MNN", m.version("MNN"))'
PATH="$folder/first:$PATH" "$folder/env/bin/mnnconvert" --help > "$folder/help" 2>&1 || true
echo "mnnconvert --help asked pip for: $(cat "$folder/asked" 2>/dev/null || echo nothing)"
test "$(cat "$folder/asked")" = "install -U aliyun-log-python-sdk"
