"""Sensors of the virtual board: TWIM, SAADC and TIMER1 with the devices behind them, at register level."""
