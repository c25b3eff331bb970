"""Stand-in for Ascend's `npu_bridge` of the CANN 20.2 era (branch r1.2.0): same names, same graph, run by the CPU.

Source of the interface: https://github.com/Ascend/tensorflow, tf_adapter/python/npu_bridge, February 2021.
"""

import logging

SIMULATED = True

# not TensorFlow's logger, which programs silence: nobody may take these numbers for a card's
logging.getLogger(__name__).warning("npu_bridge: simulated Ascend NPU, graphs run on the CPU")
