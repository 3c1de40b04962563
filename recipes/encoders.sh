#!/usr/bin/env bash
# Which encoder makes the better policies, and does its reward? On tasks that vip-mini never saw, with
# raw pixels and a random network beside it; then VIP, TCN and LSTD of short, equal budgets.
#   vip-offline run recipes/vip-mini-objectives.toml && bash recipes/encoders.sh
# Success with its interval: recipes/results/encoders-*.json, and the model card of vip-mini.

set -euo pipefail

compare() { # store encoder seeds placements arms out [weights]
  local weights=()
  [ -z "${7:-}" ] || weights=(--weights "$7")
  vip-offline relabel "$1" --encoder "$2" "${weights[@]}"
  vip-offline compare "$1" --label "$2" "${weights[@]}" --tau auto --steps 5000 \
    --seeds "$3" --placements "$4" --arms "$5" --out "$6"
}

for task in drawer-close push; do
  store="datasets/encoders/$task.zarr"
  vip-offline record "$store" --task "$task"
  for encoder in vip-mini lite0 random-resnet18 pixels; do
    compare "$store" "$encoder" 5 10 bc,rwr-return,bc-success "runs/encoders/$task-$encoder"
  done
done

for objective in vip tcn lstd; do
  for seed in 0 1 2; do
    # one name holds the embeddings of one checkpoint
    store="datasets/encoders/$objective-$seed.zarr"
    [ -d "$store" ] || cp -r datasets/encoders/drawer-close.zarr "$store"
    rm -rf "$store/embeddings" "$store/labels" "$store/goals"
    compare "$store" vip-mini 3 10 bc,rwr-return "runs/encoders/$objective-$seed" \
      "runs/vip-mini-objectives/$objective-$seed/model.pt"
  done
done
