# Sourced before train_full_1p.sh: the paths of CANN where it is installed, and one card. Changes nothing on machines without cards.
# shellcheck shell=bash

ascend=${ASCEND_HOME:-/usr/local/Ascend}
cann=
# CANN 20.x: one folder in Ascend Hub's images, nnae beside tfplugin on hosts that train, ascend-toolkit on those that develop.
for folder in "$ascend" "$ascend/nnae/latest" "$ascend/ascend-toolkit/latest"; do
  if [[ -z $cann && -d $folder/fwkacllib ]]; then cann=$folder; fi
done
if [[ -n $cann ]]; then
  export ASCEND_OPP_PATH=$cann/opp
  export ASCEND_AICPU_PATH=$cann
  export LD_LIBRARY_PATH=$ascend/driver/lib64/common:$ascend/driver/lib64/driver:$cann/fwkacllib/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export PATH=$cann/fwkacllib/ccec_compiler/bin:$cann/fwkacllib/bin:$PATH
  packages=python/site-packages
  for folder in "$cann/opp/op_impl/built-in/ai_core/tbe" "$ascend"/{,ascend-toolkit/latest/}tfplugin/$packages \
    "$ascend"/tfplugin/latest/{tfplugin/,}$packages "$cann/fwkacllib/$packages"; do
    if [[ -d $folder ]]; then export PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH}; fi
  done
else
  for folder in nnae ascend-toolkit tfplugin; do # CANN 5 and later bring a script that does this
    # shellcheck source=/dev/null
    if [[ -f $ascend/$folder/set_env.sh ]]; then cann=$folder && source "$ascend/$folder/set_env.sh"; fi
  done
fi
if [[ -n $cann ]]; then
  # DEVICE_ID is a card's number on the server; ASCEND_DEVICE_ID counts the cards that the process sees, and wins.
  if [[ -n ${DEVICE_ID-} && -z ${ASCEND_DEVICE_ID-} ]]; then export DEVICE_ID; else export ASCEND_DEVICE_ID=${ASCEND_DEVICE_ID:-0}; fi
  export DEVICE_NUM=1 RANK_ID=0 RANK_SIZE=1
  export JOB_ID=${JOB_ID:-10087}
  export ASCEND_GLOBAL_LOG_LEVEL=${ASCEND_GLOBAL_LOG_LEVEL:-3}
elif compgen -G "${DAVINCI:-/dev/davinci}[0-9]*" >/dev/null; then
  echo "env.sh: this machine has Ascend cards, and $ascend has no CANN: neither fwkacllib, nor nnae or ascend-toolkit; set ASCEND_HOME" >&2
fi
unset ascend cann folder packages
