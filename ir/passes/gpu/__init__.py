"""Passes for GPU targets: from tiles to registers of threads, and to the traffic between threads.

spread       which layouts a tile may have, given the threads of a block
layouts      layout inference: every tile gets a register layout, and relayouts where uses disagree
"""
