"""The networks: `architectures`, many of them side by side (`stack`), and their file (`storage`)."""
