"""Stand-in for Ascend's `npu_bridge` of the CANN 20.2 era (branch r1.2.0): same names, same graph, run by the CPU.

Source of the interface: https://github.com/Ascend/tensorflow, tf_adapter/python/npu_bridge, February 2021.
"""

import tensorflow as tf

SIMULATED = True

tf.compat.v1.logging.warning("npu_bridge: simulated Ascend NPU, graphs run on the CPU")
