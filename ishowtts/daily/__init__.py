"""`ishowtts daily`: short commands that check, time and measure an installation."""
