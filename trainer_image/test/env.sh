# Sourced before train_full_1p.sh: the paths of CANN where it is installed, and one card. Changes nothing on other machines.
# shellcheck shell=bash

ascend=${ASCEND_HOME:-/usr/local/Ascend}
if [[ -d $ascend/fwkacllib ]]; then
  export ASCEND_OPP_PATH=$ascend/opp
  export ASCEND_AICPU_PATH=$ascend
  export LD_LIBRARY_PATH=$ascend/driver/lib64/common:$ascend/driver/lib64/driver:$ascend/fwkacllib/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export PATH=$ascend/fwkacllib/ccec_compiler/bin:$ascend/fwkacllib/bin:$PATH
  export PYTHONPATH=$ascend/fwkacllib/python/site-packages:$ascend/tfplugin/python/site-packages:$ascend/opp/op_impl/built-in/ai_core/tbe${PYTHONPATH:+:$PYTHONPATH}
  export ASCEND_DEVICE_ID=${ASCEND_DEVICE_ID:-0}
  export DEVICE_ID=${DEVICE_ID:-$ASCEND_DEVICE_ID}
  export DEVICE_NUM=1 RANK_ID=0 RANK_SIZE=1
  export JOB_ID=${JOB_ID:-10087}
  export ASCEND_GLOBAL_LOG_LEVEL=${ASCEND_GLOBAL_LOG_LEVEL:-3}
fi
unset ascend
