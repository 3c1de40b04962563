#!/usr/bin/env bash
# Set everything up and run the main job, recipes/quickstart.toml, from a clean clone.
# Arguments are handed on to `vip-offline run`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=recipes/environment.sh
source recipes/environment.sh

set_up_environment sim
set_up_seconds=$SECONDS

status=0
vip-offline run recipes/quickstart.toml "$@" || status=$?

minutes() { # with one decimal
  local tenths=$((($1 + 3) / 6))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
printf '%s\n' "$(minutes "$SECONDS") minutes in all, $(minutes "$set_up_seconds") of them set-up"
exit "$status"
