"""Stand-in for Ascend's collective communication library, CANN 20.2 era: ranks and groups of one simulated card."""
