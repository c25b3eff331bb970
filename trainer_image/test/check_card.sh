#!/usr/bin/env bash
# What the cards of this Ascend server do, as tables to send back: docs/first-day-on-a-card.md.
#   bash check_card.sh IMAGE   in the trainer's image, by Docker, with the rights of a pod
#   bash check_card.sh         on this host, where CANN is installed
set -euo pipefail

davinci=${DAVINCI:-/dev/davinci}
mapfile -t cards < <(compgen -G "${davinci}[0-9]*" | sort --version-sort | head -n2)
((${#cards[@]})) || { echo "check_card.sh: there is no ${davinci}0 here" >&2; exit 69; }

image=${1-}
if [[ -z $image ]]; then
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  # shellcheck source=trainer_image/test/env.sh
  source "$here/env.sh"
  PYTHONPATH=$here/../src${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-python3.7}" -m bert_trainer.check_card
fi

describe() { docker image inspect --format='{{.Id}}, user "{{.Config.User}}", folder "{{.Config.WorkingDir}}"' "$1" 2>/dev/null || echo "not here"; }
if ! base=$(docker image inspect --format='{{index .Config.Labels "org.opencontainers.image.base.name"}}' "$image"); then
  echo "check_card.sh: Docker has no image $image here: run 'docker pull $image', or build it as trainer_image/README.md says" >&2
  exit 64
fi

options=(--rm --user=65532:65532 --group-add="$(stat --format=%g "${cards[0]}")" --read-only --tmpfs=/tmp:exec --shm-size=1g
  --cap-drop=ALL --security-opt=no-new-privileges --entrypoint=python3.7)
for device in "${cards[@]}" "${davinci}"_manager /dev/devmm_svm /dev/hisi_hdc; do options+=(--device="$device"); done
for path in /usr/local/Ascend/driver /usr/local/dcmi /usr/local/bin/npu-smi /etc/hccn.conf; do
  if [[ -e $path ]]; then options+=(-v "$path:$path:ro"); fi
done
if [[ -d /var/log/npu ]]; then options+=(-v /var/log/npu:/var/log/npu); fi
exec docker run "${options[@]}" "$image" -m bert_trainer.check_card \
  --image="$image, $(describe "$image"); base $base, $(describe "$base")"
