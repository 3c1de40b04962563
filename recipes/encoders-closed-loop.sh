#!/usr/bin/env bash
# Policies on one encoder after the other, closed loop: what counts of an encoder.
#
#   bash recipes/encoders-closed-loop.sh TASK SEEDS NAME=ENCODER[:WEIGHTS]...
#   bash recipes/encoders-closed-loop.sh drawer-close 5 vip-mini=vip-mini lite0=lite0
#   bash recipes/encoders-closed-loop.sh drawer-close 2 tcn-0=vip-mini:runs/vip-mini-objectives/tcn-0/model.pt
#
# Records datasets/closed-loop/TASK.zarr (30 episodes, 20 of them failures) once, labels a copy of it with each
# encoder, and trains and rolls out SEEDS policies of each variant on 10 placements. Writes
# runs/closed-loop/TASK-NAME/comparison.json. About 2 minutes for each encoder and 5 seeds on two cores.

set -euo pipefail
task="$1" seeds="$2"
shift 2
store="datasets/closed-loop/$task.zarr"
[ -e "$store" ] || vip-offline record "$store" --task "$task"
for each in "$@"; do
  name="${each%%=*}" rest="${each#*=}"
  encoder="${rest%%:*}" weights=()
  case "$rest" in *:*) weights=(--weights "${rest#*:}") ;; esac
  out="runs/closed-loop/$task-$name"
  [ ! -e "$out/comparison.json" ] || continue
  # two checkpoints of one encoder's name cannot be in one store
  copy="datasets/closed-loop/$task-$name.zarr"
  [ -e "$copy" ] || cp -r "$store" "$copy"
  vip-offline relabel "$copy" --encoder "$encoder" "${weights[@]}"
  vip-offline compare "$copy" "${weights[@]}" --tau auto --steps 5000 --seeds "$seeds" --placements 10 \
    --arms bc,rwr-return --out "$out"
done
