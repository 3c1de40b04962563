#!/usr/bin/env bash
# Whether the lower bounds in pyproject.toml are true: install the lowest releases that it allows
# of what it names, and run every stage of a recipe on next to nothing. Needs uv.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
project="$PWD"
place="$(mktemp -d)"
trap 'rm -rf -- "$place"' EXIT

uv venv --quiet --python "${PYTHON:-3.11}" "$place/env"
VIRTUAL_ENV="$place/env" uv pip install --quiet --resolution lowest-direct "$project[sim]"
cd "$place"
MUJOCO_GL="${MUJOCO_GL:-egl}" "$place/env/bin/vip-offline" run "$project/recipes/smoke.toml"
"$place/env/bin/vip-offline" inspect "$place"/datasets/*.zarr
