"""Grey values of colour images."""

# Red, green, blue: ITU-R BT.601 to four digits. They sum to 0.9999.
LUMA_WEIGHTS = (0.2989, 0.587, 0.114)
