#!/usr/bin/env bash
# Set everything up and run every check: ruff, mypy, import-linter, the documentation and the tests.
# Arguments are handed on to pytest. A failed check does not keep the next one from running.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=recipes/environment.sh
source recipes/environment.sh

set_up_environment dev
set_up_browser

failed=()
check() {
  printf '\n== %s\n' "$*"
  "$@" || failed+=("$1${2:+ $2}")
}

check ruff check
check ruff format --check
check mypy
check lint-imports
check mkdocs build --strict --site-dir "$VIP_OFFLINE_ENV/site"

# last, so that the closing line is pytest's; what failed before it is said ahead of it
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nfailed so far:'
  printf ' [%s]' "${failed[@]}"
  printf '\n'
fi
# a file's tests stay in one process: many share what is slow to make; the longest come first
check pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
[ ${#failed[@]} -eq 0 ]
