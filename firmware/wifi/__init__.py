"""Joining another Wi-Fi network: the service button's window, its codes, and the trial.

`window` is the state machine of the window, `trial` what happens once a network is wanted. Networks
are changed by a helper with root's rights (provisioning/wifi_helper.py), which is asked by files
(`helper`). The parts know no owner's document but the code itself.
"""
